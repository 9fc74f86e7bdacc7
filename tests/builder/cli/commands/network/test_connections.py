import json

from tests.builder.cli.commands.container.conftest import until
from tests.builder.cli.conftest import Shop

SERVER = ("box", "httpd", "-f", "-p", "80", "-h", "/etc")


def test_a_container_comes_to_a_network_and_goes(net: Shop) -> None:
    net.run("network", "create", "--subnet", "10.77.1.0/24", "one")
    net.run("run", "-d", "--name", "web", *SERVER)
    assert net.run("network", "connect", "--alias", "www", "--ip", "10.77.1.9", "one", "web").code == 0
    assert net.run("network", "connect", "one", "web").code == 1
    until(lambda: net.run("run", "--rm", "--network", "one", "box", "wget", "-q", "-O-", "http://www/motd").code == 0)
    assert net.run("ps", "--format", "{{.Networks}}").out == "bridge,one\n"
    members = json.loads(net.run("network", "inspect", "one").out)[0]["Containers"]
    assert [(each["Name"], each["IPv4Address"]) for each in members.values()] == [("web", "10.77.1.9/24")]
    assert net.run("network", "rm", "one").code == 1
    assert net.run("network", "disconnect", "one", "web").code == 0
    assert net.run("network", "disconnect", "one", "web").code == 1
    assert net.run("exec", "web", "ip", "-o", "-4", "addr", "show").out.count("inet 10.") == 1
    assert net.run("network", "connect", "one", "web").code == 0
    net.run("restart", "-t", "0", "web")
    assert "10.77.1.2/24" in net.run("exec", "web", "ip", "addr").out
    for words in (("host", "web"), ("none", "web"), ("nope", "web")):
        assert net.run("network", "connect", *words).code == 1
