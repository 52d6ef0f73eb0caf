"""What a posterior says of itself, as text and in a notebook, without sampling where sampling takes long."""

from typing import TYPE_CHECKING, Any

from quincunx.notebook import card, short

if TYPE_CHECKING:
    from quincunx.infer.posterior import Posterior

_WIDE = 3
"""With more numbers than this the corner does not fit in a notebook's cell: `plot()` draws it."""


def posterior_text(posterior: "Posterior") -> str:
    """One line on the parameters, the method and the observation, then whatever to know before believing it."""
    said = "; ".join(f"{name} {value}" for name, value in posterior_facts(posterior))
    return "\n".join([f"{type(posterior).__name__}({said})", *(f"  warning: {one}" for one in posterior.warnings)])


def posterior_facts(posterior: "Posterior") -> list[tuple[str, str]]:
    """Parameters, method, observation and settings, as text by name."""
    observation = posterior.observation
    numbers = observation.events.shape[1]
    of = f"{numbers} number{'' if numbers == 1 else 's'}"
    seen = f"{observation.n} events of {of}" if observation.n > 1 else f"one outcome of {of}"
    facts = [("parameters", ", ".join(posterior.names)), ("method", _method(posterior)), ("observation", seen)]
    facts += [("design", short(posterior.design))] if posterior.design else []
    fixed = getattr(posterior, "fixed", None)
    return facts + ([("given", short(fixed))] if fixed else [])


def posterior_card(posterior: "Posterior", *, drawn: bool) -> str:
    """Its facts and warnings; with `drawn` the summary of its standard draws and their corner too."""
    title = f"Posterior of {', '.join(posterior.names)}"
    facts = posterior_facts(posterior)
    if not drawn:
        asked = [("draws", "not made for a look: summary(), plot() and sample(n, key=...) make them")]
        return card(title, facts=facts + asked, warnings=posterior.warnings)
    run = posterior.standard_run()
    head, body = posterior.summary(run).table()

    def picture() -> str:
        from quincunx.plot import inline_svg

        if len(posterior.prior.columns) > _WIDE:
            return ""
        return inline_svg(posterior.plot(run), alt=f"{title}: draws {short(run.theta.mean(axis=0))}, the prior behind.")

    return card(
        title,
        facts=facts,
        head=head,
        body=body,
        caption=f"{len(run.theta)} draws",
        warnings=posterior.warnings,
        picture=picture,
    )


def _method(posterior: Any) -> str:
    for inside in ("whole", "proposal"):
        if hasattr(posterior, inside):
            return f"{_method(getattr(posterior, inside))}, {'conditioned' if inside == 'whole' else 'refined'}"
    return str(posterior.estimator.method.get("method", "unnamed"))
