"""The sandbox's front page: what this is, and every fault one can ask for."""

from collections.abc import Sequence

from gesso.sandbox.faults import JOB, STAGES, TRANSPORT
from gesso.sandbox.html import table
from gesso.sandbox.painter import RECIPES

_STYLE = """
body { font: 15px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 3rem auto; padding: 0 1.25rem;
  color: #1d1a26; background: #faf9fc }
h1 { font-size: 1.7rem; letter-spacing: -.02em; margin: 0 0 .3rem }
h2 { font-size: 1.05rem; margin: 2.2rem 0 .5rem }
code { font: 13px ui-monospace, monospace; background: #efecf6; border-radius: 4px; padding: .1em .35em }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #e4e0ee }
th { white-space: nowrap; font-weight: 600 }
@media (prefers-color-scheme: dark) {
  body { color: #ece9f4; background: #111017 } a { color: #b79dfa }
  code { background: #26232f } td, th { border-color: #2c2937 }
}
"""

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>gesso sandbox</title><style>{style}</style>
<h1>gesso sandbox</h1>
<p>A stand-in for the providers: their wire protocol, pictures painted by arithmetic, failures on demand.
Nothing here costs anything, and nothing leaves this machine but webhooks.</p>
{faces}
<h2>Faults</h2>
<p>Written <code>name[@stage][*times][=argument]</code>; several may be combined. Ask by the header
<code>X-Sandbox-Fault: 429=2, slow=5</code>, by a key whose secret is <code>fault-hang</code>, or by words in the
prompt: <code>a lighthouse sandbox:nsfw=1 sandbox:500@status*2</code>. With <code>*times</code> only that many tries
with the same prompt fail.</p>
<h2>Faults of a job</h2>
{job}
<h2>Faults of one exchange</h2>
<p>Stages: {stages}. Without one they strike submit, or the request whose header asks for them.</p>
{transport}
<h2>Painter</h2>
<p>Words in the prompt choose among {recipes}; colours can be named too.</p>
<h2>Bill</h2>
<p><a href="/_bill"><code>GET /_bill</code></a> lists the jobs taken and what they would have cost;
<a href="/_bill.csv"><code>GET /_bill.csv?provider=fal</code></a> is the same as a table, which <code>gesso
reconcile</code> reads; <code>DELETE /_bill</code> starts a new one.</p>
</html>
"""


def page(faces: Sequence[str]) -> str:
    """The page as HTML; `faces` are the faces' own sections."""
    return _PAGE.format(
        style=_STYLE,
        faces="".join(faces),
        job=table(list(JOB.items())),
        transport=table(list(TRANSPORT.items())),
        stages=", ".join(STAGES),
        recipes=", ".join(RECIPES),
    )
