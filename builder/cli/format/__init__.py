"""What commands print: tables, templates of ``--format``, progress of transfers."""
