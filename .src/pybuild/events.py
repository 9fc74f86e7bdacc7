"""What a build or a transfer reports while it runs: frozen values that are given to a function of the caller.

They may come from several threads at once. Times are seconds of the monotonic clock.

    StepsPlanned      the plan: how many steps, and their inputs
    StepStarted       a step begins
    StepOutput        a piece of what a step printed
    StepStatus        how far a part of a step is, such as a layer that is transferred
    StepFinished      a step ended, with its layer or its error
    Warned            something that the user should know
"""

from pybuild.builder.progress import (
    Event,
    LayerMade,
    PlannedStep,
    Progress,
    StepFinished,
    StepOutput,
    StepsPlanned,
    StepStarted,
    StepStatus,
    Warned,
    silent,
)

__all__ = [
    "Event",
    "LayerMade",
    "PlannedStep",
    "Progress",
    "StepFinished",
    "StepOutput",
    "StepStarted",
    "StepStatus",
    "StepsPlanned",
    "Warned",
    "silent",
]
