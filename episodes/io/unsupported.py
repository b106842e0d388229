"""Files that are no picture and no volume of NIfTI: what they are, and what to do with them."""

from pathlib import Path

from episodes.io.dicom.planes import is_dicom

_NIFTI = "save it as NIfTI (.nii.gz), which keeps its place in space"
_KINDS = {
    (".hdr", ".img"): "one of the two files of an Analyze or NIfTI pair; save them as one .nii.gz",
    (".mgz", ".mgh"): f"a FreeSurfer volume; {_NIFTI}",
    (".nrrd", ".nhdr", ".mha", ".mhd"): f"an ITK volume; {_NIFTI}",
    (".mnc",): f"a MINC volume; {_NIFTI}",
    (".czi", ".lif", ".nd2", ".oib", ".vsi", ".svs", ".ndpi"): (
        "a microscope's own format; save it as OME-TIFF"
    ),
}
_DICOM = "convert a series to NIfTI, e.g. with dcm2niix, or give a data set's folder to train on it"


def foreign(path: Path) -> str | None:
    """Describe a file of an unsupported kind, and the way out; None if the kind is unknown."""
    for endings, words in _KINDS.items():
        if path.suffix.lower() in endings:
            return words
    return f"a DICOM file; {_DICOM}" if is_dicom(path) else None


def no_image(folder: Path) -> str:
    """Message for a folder without readable images, with what it holds if that is known."""
    message = f"{folder} holds no image; expected PNG, JPEG, TIFF or NIfTI files"
    for path in sorted(folder.rglob("*")):
        if words := foreign(path):
            return f"{message}. {path.name} is {words}"
    return message
