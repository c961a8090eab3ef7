"""Asking a studio as its pages do, without a browser."""

import httpx


class Client:
    """Calls the actions of pages over HTTP, each by the names of its page and its own: `generate.draw`.

    Attributes:
        base: Address of the studio.
        components: For each action the number of the part of its page.
    """

    def __init__(self, base, **options):
        self.base = base
        self.http = httpx.Client(base_url=base, timeout=60, **options)
        found = self.http.get("/config").json()
        self.components = {
            f"{part['props']['elem_id']}.{name}": part["id"]
            for part in found["components"]
            for name in part["props"].get("server_fns", [])
        }

    def post(self, component, action, data):
        body = {"session_hash": "here", "component_id": component, "fn_name": action, "data": data}
        return self.http.post("/gradio_api/component_server/", json=body)

    def __call__(self, action, data):
        return self.post(self.components[action], action.partition(".")[2], data).json()
