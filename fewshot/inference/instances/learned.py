"""What was learned of annotated objects, in values and in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fewshot.inference.inputs import ImageStack
from fewshot.inference.instances.look import look_of
from fewshot.inference.instances.sizes import ObjectSizes
from fewshot.inference.instances.splitting import SplitMethod, Splitting


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """What makes objects of the images of one look.

    Attributes:
        support: learned of the classes.
        rims: learned of insides and rims of the objects; None where none are needed.
        splittings: one a class.
        sizes: of the annotated objects of each class.
        scores: of each method that was tried, on annotated images that it did not learn, 0 to 1.
    """

    support: Any
    rims: Any
    splittings: tuple[Splitting, ...]
    sizes: tuple[ObjectSizes, ...]
    scores: Mapping[str, float]

    @property
    def method(self) -> SplitMethod:
        """How objects are split."""
        return self.splittings[0].method


@dataclass(frozen=True, eq=False)
class LearnedObjects:
    """What was learned of annotated objects.

    Attributes:
        names, values: of the classes, see `SupportSet`.
        models: one for each look of the annotated images, see `look_of`.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    models: Mapping[str, ObjectModel]

    def look_for(self, image: ImageStack) -> tuple[str, str]:
        """Choose the annotated images that a query is compared with.

        Returns:
            Their look, and a doubt where it is not the query's; "" where there is none.
        """
        look, known = look_of(image), next(iter(self.models))
        if look in self.models:
            return look, ""
        if len(self.models) == 1 and {look, known} == {"bright", "dark"}:
            return known, ""
        return known, (
            f"{image.name} is {look} and the annotated images are {' and '.join(self.models)}; "
            "annotate one like it"
        )

    def describe(self) -> str:
        """Tell the sizes, the splitting and its score on the annotated images, a line each."""
        lines = []
        for look, model in self.models.items():
            where = f"{look} images: " if len(self.models) > 1 else ""
            for name, sizes, splitting in zip(
                self.names, model.sizes, model.splittings, strict=True
            ):
                label = f"{name}: " if len(self.names) > 1 else ""
                lines.append(f"{where}{label}{sizes.describe()}; {splitting.describe()}")
            tried = ", ".join(f"{name} {score:.2f}" for name, score in model.scores.items())
            lines.append(f"{where}Bowl score on annotated images, by method: {tried}")
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """Return the same as JSON values."""
        return {
            look: {
                "scores": dict(model.scores),
                "classes": {
                    name: {"sizes": vars(sizes), "splitting": vars(splitting)}
                    for name, sizes, splitting in zip(
                        self.names, model.sizes, model.splittings, strict=True
                    )
                },
            }
            for look, model in self.models.items()
        }
