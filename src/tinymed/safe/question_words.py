"""Whether a question has anything to do with an image of a body."""

from __future__ import annotations

import re


def _words(text: str) -> list[str]:
    return text.split()


_POINTING = _words(
    """
        this these here above image picture photo film scan slide show seen see seeing visible
        visuali view look appear depict present evidence observ identif notice demonstrat located
        location where position abnormal normal unusual wrong patholog finding diagnos disease sign
        lesion problem condition issue feature concern interpret describe increase decrease area
        differential etiolog aetiolog indicat incidental imag captur
    """
)
"""Beginnings of words that point at the image or at what is in it."""

_IMAGING = _words(
    """
        x-ray xray radiogra ct cta mr mri mra flair dwi adc t1 t2 pet ultraso sonogra doppler
        mammogra fluorosc tomogra modalit diffusion inspirat contrast enhanc weight gadolin barium
        plane axial coronal sagittal transverse oblique view projection ap pa lateral supine erect
        upright rotat exposure artifact artefact motion resolution window slice sequence section
        phase density densit intens attenuat opaci opaque lucen bright dark black white gray grey
        color colour signal marker label text letter arrow annotation quality portable bedside
        angiogra
    """
)

_BODY = _words(
    """
        abdom adren airway alveol ankle anterior aort apex apic append arm arter atri axill azyg
        back bile biliary bladder blood body bone bony bowel brain breast bronch bursa calcan calva
        capsul cardi carot carp cartilag caud cav cecum caecum cell cereb cervic chest chole cist
        clavic cochl colon condyl cord corpus cortex cortic costo cox cranial crani diaphragm disc
        disk diverticul duct duoden ear elbow endo epi esoph oesoph ethmoid eye face facial fascia
        fat femor femur fibul finger fissur foot feet foram fossa gallb gangli gastr gland globe
        growth plate gyr hand head heart hepat hil hip hippoc humer hypothal ileum iliac inguin
        intest jaw jejun joint kidney knee lacrim larynx leg ligament limb liver lob lumb lung
        lymph mandib marrow mastoid maxill mediast medull menis mesent metatars midbrain midline
        mouth muscle myo nas neck nerve node nose nucle occip odont omentum optic orbit organ ovar
        palat pancrea parathyr parenchym pariet parotid patell pedicle pelvi pericard periton
        petrous pharyn physis pineal pituit placent pleur pons portal prostat psoas pubi pulmon
        pylor radius rect renal retin rib ribs sacr scalp scaph scapul scrot sella septum septa
        shoulder sigmoid silhouett sinus skelet skull sphen spin spleen splen stern stomach
        structure sulc supra tail talus temporal tendon testi thalam thigh thorac thorax throat
        thym thyroid tibia tissue toe tongue tonsil tooth teeth trachea trunk tuberosit ulna umbil
        ureter urethr uter vagin valve vas vein ven vessel vertebr vomer wrist zygom system
    """
)

_FINDINGS = _words(
    """
        abscess acute adenopath aneurysm ascit asymmetr atelect atheroma atroph benign bleed blunt
        broken bulg calcif cancer carcin chronic clot collapse collection compress congest consolid
        contus covid crepit cyst deform degener dense deviat dilat disloc displac dissect distend
        distens edema oedema effus embol emphysem empyem enlarg eros erosion fibro fistul flat
        fluid fluids foreign fractur free gallstone gas glioma goit gout granulom ground halo
        healed hematom haematom hemorrh haemorrh hemmor hernia hydro hyper hypo impact infarct
        infect infiltr inflam injur intussus interstit irregular isch kerley kyphos leak lipoma
        loculat luxat lytic malign mass masses mening metasta narrow necro nodul obliter obscur
        obstruct osteo osteop pacemaker perfor perihil plaque pneumo polyp ruptur sarcoid scar
        sclero scolio sepsis shadow shift stent stenos stone stran strok stroke subdural subarach
        subcut swell swollen tear thick thrombo thromb torn tort tram trauma wilms tuberc tb tumor
        tumour ulcer volvul wedge widen catheter tube line lead device implant clip screw plate
        prosthe nail wire drain contour border margin shape size larger smaller big small bigger
        biggest smallest largest side left right upper lower male female sex adult child symptom
        cause function role system
    """
)

_STEMS = re.compile(
    r"\b(?:" + "|".join(map(re.escape, sorted({*_POINTING, *_IMAGING, *_BODY, *_FINDINGS}))) + ")"
)
_ENDINGS = re.compile(
    r"\w(?:itis|oma|omas|osis|oses|emia|aemia|ectasis|pathy|pathies|megaly|thorax|cardium|graphy|"
    r"gram|stenosis|plegia|ectomy|ostomy|plasty|cele|lysis|malacia|trophy|plasia|sthesis|oid|"
    r"ectatic|otic|genic|lithiasis|edema)\b"
)


def is_about_images(text: str) -> bool:
    """Whether any word of a question points at an image, a body or what can be found in one.

    Args:
        text: In lower case.

    Example:
        >>> is_about_images("is there a pneumothorax?"), is_about_images("explain gravity")
        (True, False)
    """
    return _STEMS.search(text) is not None or _ENDINGS.search(text) is not None
