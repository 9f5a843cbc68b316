"""The page's server: what it asks for."""

from importlib.resources import files

from digitcmp.demo.networks import Networks
from digitcmp.localhost import LocalServer, as_json, html

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'"


class Server(LocalServer):
    """Serves the page, and what the networks say."""

    def __init__(self, networks: Networks, port: int) -> None:
        """port: 0 for any. Raises OSError where another program listens there."""
        page = files("digitcmp.demo").joinpath("page.html").read_bytes()
        routes = {
            "GET /": lambda _: html(page),
            "GET /networks": lambda _: as_json(networks.about()),
            "POST /pair": lambda request: as_json(networks.pair() if request.body() is not None else {}),
            "POST /answer": lambda request: as_json(networks.compare(request.body())),
        }
        super().__init__(port, routes, POLICY)
