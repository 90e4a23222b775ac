"""Which part of the world answers a request."""

from sandbox.gateway import git, index, objects
from sandbox.gateway.web import Handler, Request, Site


def handler(site: Site, request: Request) -> Handler:
    """Whatever answers this request at this site."""
    if git.concerns(request):
        return git.handler(site.shelf, request)
    if site.service == "index":
        return index.Index(site.manners.packages, request)
    return objects.handler(site, request)
