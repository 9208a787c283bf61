"""What a DICOM file says of its picture, of the standard's own terms only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinymed.images.dicom_attribute import values
from tinymed.images.received import ImageFacts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MODALITIES = """
ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DMS DG DOC DX ECG EEG EMG EOG EPS ES FID
GM HC HD IO IOL IVOCT IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF
OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD
RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL
XC
"""
_RETIRED_MODALITIES = """
AS CD CF CP CS DD DF DM DS EC FA FS LP MA MS OPR ST TM VF
"""
MODALITIES = frozenset((_MODALITIES + _RETIRED_MODALITIES).split())
"""Codes of Modality (0008,0060) in PS3.3 C.7.3.1.1.1; the retired ones are still in archives."""

_BODY_PARTS = """
ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BLADDER BRAIN BREAST BRONCHUS
BUTTOCK CALCANEUS CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS
CIRCLEOFWILLIS CLAVICLE COCCYX COLON CORNEA CORONARYARTERY CSPINE CTSPINE DUODENUM EAR
ELBOW ESOPHAGUS EXTREMITY EYE EYELID FACE FEMUR FINGER FOOT GALLBLADDER HAND HEAD
HEADNECK HEART HIP HUMERUS IAC ILEUM ILIUM JAW JEJUNUM KIDNEY KNEE LARYNX LEG LIVER
LSPINE LSSPINE LUNG MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN
NECKCHESTABDPELV NOSE ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHARYNX PROSTATE
RADIUS RADIUSULNA RECTUM RIB SCALP SCAPULA SCLERA SCROTUM SHOULDER SKULL SPINE SPLEEN
SSPINE STERNUM STOMACH SUBMANDIBULAR TESTIS THIGH THUMB THYMUS THYROID TIBIA TIBIAFIBULA
TLSPINE TMJ TOE TONGUE TRACHEA TSPINE ULNA URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY
WRIST ZYGOMA
"""
BODY_PARTS = frozenset(_BODY_PARTS.split())
"""Terms of Body Part Examined (0018,0015) in PS3.16 annex L."""

FACT_KEYWORDS = (
    "Modality",
    "BodyPartExamined",
    "BurnedInAnnotation",
    "PixelSpacing",
    "ImagerPixelSpacing",
)


def image_facts(dataset: Dataset) -> ImageFacts:
    """Read a frame's facts; what is not one of the standard's terms is left out.

    Args:
        dataset: The frame's attributes (see `dicom_grey.frame_attributes`).
    """
    modality = _term(dataset, "Modality")
    body_part = _term(dataset, "BodyPartExamined")
    return ImageFacts(
        modality=modality if modality in MODALITIES else None,
        body_part=body_part if body_part in BODY_PARTS else None,
        says_burned_in_text={"YES": True, "NO": False}.get(_term(dataset, "BurnedInAnnotation")),
        has_spacing=any(
            _is_size(values(dataset, name)) for name in ("PixelSpacing", "ImagerPixelSpacing")
        ),
    )


def _term(dataset: Dataset, keyword: str) -> str:
    found = values(dataset, keyword)
    return str(found[0]).strip(" \0").upper() if found else ""


def _is_size(spacing: list[Any]) -> bool:
    try:
        numbers = [float(number) for number in spacing]
    except (TypeError, ValueError):
        return False
    return len(numbers) == 2 and all(  # noqa: PLR2004 - rows and columns
        math.isfinite(number) and number > 0 for number in numbers
    )
