"""Why something is in an image: a step, and what the step goes back to."""

from dataclasses import dataclass

ARROW = " \N{LEFTWARDS ARROW} "


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is in the image: `text`, because of `of` (a module), which has its own `why`."""

    text: str
    of: str | None = None
    why: "Reason | None" = None

    def chain(self) -> tuple[str, ...]:
        """Return the steps from the nearest to the first cause: `("softdep of r8169", "PCI class 02")`."""
        step = f"{self.text} {self.of}" if self.of else self.text
        return (step, *(self.why.chain() if self.why else ()))

    def __str__(self) -> str:
        return ARROW.join(self.chain())
