"""`fewshot share`: a model in a folder that others can load, with its card; and as ONNX."""

from episodes.encode import make_folder, whole_file
from fewshot.card import model_card
from fewshot.commands.data import parse_names
from fewshot.commands.options import Share
from fewshot.export import export_onnx
from fewshot.saving import load_segmenter, save_segmenter, save_support


def share(command: Share) -> int:
    """Copy the model through a check of it, write the card, and the graph if asked for."""
    segmenter = load_segmenter(command.model)
    card = model_card(command.model, command.name or command.out.name, command.licence)
    out = make_folder(command.out)
    save_segmenter(segmenter, out)
    with whole_file(out / "README.md") as partial:
        partial.write_text(card, "utf-8")
    written = ["segmenter.json", "model.safetensors", "README.md"]
    if command.support:
        legend = parse_names(command.classes)
        support = segmenter.learn(
            list(command.support),
            list(command.mask),
            legend,
            ignore_affine=command.ignore_affine,
        )
        save_support(support, out / "support.safetensors")
        export_onnx(segmenter, support, out / "segment.onnx")
        written += ["support.safetensors", "segment.onnx"]
    print(f"{', '.join(written)} in {out}\nload it with Segmenter.from_pretrained({str(out)!r})")
    return 0
