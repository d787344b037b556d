"""Why something is in an image: a step, and what the step goes back to."""

from dataclasses import dataclass

ARROW = " \N{LEFTWARDS ARROW} "
_MAX_STEPS = 40  # of a reason; real ones have ten at most


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is in the image: `text`, because of `of` (a module), which has its own `why`."""

    text: str
    of: str | None = None
    why: "Reason | None" = None

    def chain(self) -> tuple[str, ...]:
        """Return the steps from the nearest to the first cause: `("softdep of r8169", "PCI class 02")`.

        After _MAX_STEPS of them come three dots: modules.softdep may be hostile.
        """
        steps: list[str] = []
        cause: Reason | None = self
        while cause is not None:
            if len(steps) == _MAX_STEPS:
                return (*steps, "...")
            steps.append(f"{cause.text} {cause.of}" if cause.of else cause.text)
            cause = cause.why
        return tuple(steps)

    def __str__(self) -> str:
        return ARROW.join(self.chain())
