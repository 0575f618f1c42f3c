"""The living style page, `/styles`, in development only: every component in every state."""

from fastapi import APIRouter, Request, Response

from gesso.core.errors import NotSignedIn
from gesso.web.forms import Form
from gesso.web.render import page

router = APIRouter(include_in_schema=False)


@router.get("/styles")
async def styles(request: Request) -> Response:
    """Draw all components. Raises NotSignedIn: the frame needs someone."""
    shell = await request.app.state.shell(request)
    if shell is None:
        raise NotSignedIn("Sign in to see the components in their frame.")
    form: Form[object] = Form(  # type: ignore[type-var]
        typed={"resting": "", "focused": "Spring camp", "invalid": "ada@"},
        errors={"invalid": "An e-mail looks like name@site.com."},
    )
    return await page(request, "styles.html", form=form, shell=shell)
