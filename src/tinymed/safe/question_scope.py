"""Questions that no answer about an image may be given to, and questions in other languages.

A list of rules, each a subject in words and a pattern: it can be read, argued about and tested,
which a classifier trained on a few hundred made-up questions could not.
"""

from __future__ import annotations

import re

from tinymed.safe.gate import Alert, Mode
from tinymed.safe.question_language import other_language
from tinymed.safe.question_text import plain_text
from tinymed.safe.question_words import is_about_images

_PERSON = r"(?:patients?|persons?|man|woman|child|baby|boy|girl|he|she|him|her|they|them|i|we|you)"
_OTHER = r"(?:patients?|persons?|man|woman|child|baby|boy|girl|he|she|his|him|her|they|their|them)"
_DET = r"(?:the |this |that |my |our |your )?"

SUBJECTS: dict[str, str] = {
    "commands to the model": (
        r"\b(?:ignor|disregard|forget|overrid|bypass)\w*\b.{0,40}\b(?:previous|prior|above|earlier|"
        r"instructions?|rules?|prompts?|guidelines?|safety|image|everything|told)\b"
        r"|\b(?:system|developer|hidden|initial) (?:prompt|message)\b|\binstructions?\b|\bjailbr\w+"
        r"|(?:^|[.?!] ?)(?:assistant|system|user|human|ai) ?:"
        r"|\byou are (?:now|no longer|a|an|in)\b|\bact as\b|\bpretend\b|\brole ?play\b"
        r"|\bfrom now on\b|\b(?:developer|admin|debug|test|god) mode\b"
        r"|^(?:please )?(?:just |only |always )?(?:say|reply|respond|repeat|print|output|write|"
        r"reveal|show me your|translate|summari[sz]e|execute|run|delete|change)\b"
        r"|\b(?:say|reply|respond|answer|output|report)(?: only)?(?: with)? ['\"‘“]"
        r"|\b(?:answer|reply|respond|say) (?:only |always |just )?(?:with )?(?:yes|no|normal)\b"
        r"|\b(?:always|must|only) (?:answer|reply|respond|say|report)\b|<\|?\w+\|?>"
        r"|\bdo not (?:mention|report|tell|say|use)\b|\breport (?:it )?(?:as )?normal\b"
    ),
    "treatment": (
        r"\b(?:treat(?:s|ed|ing|ments?|able)?|therap(?:y|ies|eutic)|prescri\w+|medications?|"
        r"medicines?|drugs?|antibiotics?|steroids?|painkillers?|insulin|aspirin|paracetamol|"
        r"ibuprofen|amoxicillin|chemo\w*|dos(?:e|es|age|ages|ing)|milligrams?|cur(?:e|ed|able)|"
        r"prevent(?:s|ed|ion|ing)?|vaccin\w+|managed?|management|diet|exercises?|referr(?:al|ed)|"
        r"discharged|rehabilitation|physiotherapy|radiotherapy|anaesthesia|anesthesia)\b"
        r"|\b\d+ ?(?:mg|mcg|ml)\b|\bnext (?:step|best step|action)s?\b"
        r"|\brecommend(?:ed|ation|ations|s)?\b|\badvis(?:e|ed)\b|\badvice\b|\bfollow[- ]?up\b"
        r"|\boperat(?:e|ed|ing)\b|\bpills?\b|\bput (?:in|on|into) (?:a|an) \w+"
        r"|\bshould (?:the |this |that |it )?\w* ?be (?:put|given|removed|drained|repaired|"
        r"replaced|"
        r"fixed|started|stopped|done)\b"
        rf"|\bshould {_DET}{_PERSON} (?!expect|see|look|notice)\w+"
        r"|\b(?:need|needs|needed|require|requires|required|undergo|have|perform|benefit from)"
        r"(?: to have| to undergo| an?| any| the| urgent| emergency)* "
        r"(?:surgery|operation|operate|amputation|transplant\w*|biopsy|transfusion|admission|"
        r"hospitali[sz]ation|icu|cast|dialysis|intubation|ventilation|drainage|chest tube)\b"
        r"|\b(?:surgery|operation|biopsy|transfusion|tube|drain|admission|cast|dialysis|intubation)"
        r"(?: \w+)? (?:needed|required|necessary|indicated)\b"
        r"|\bwhat (?:should|can|must|could) (?:be done(?! to)|i do|we do|you do|they do)\b"
        r"|\b(?:safe|fit|able) to (?:fly|work|drive|travel|exercise|go|play|operate|return)\b"
        r"|\bgo home\b|\bsent home\b|\bhow (?:do|can|should|would) (?:i|we) (?:fix|heal|help)\b"
    ),
    "what will become of the patient": (
        r"\bprogno\w+|\bsurviv\w+|\blife expectancy\b|\bmortality\b|\bfatal\b|\bterminal\b"
        r"(?! ileum)"
        rf"|\bhow (?:long|much time|many (?:days|weeks|months|years))\b.{{0,30}}\b{_PERSON} "
        r"(?:have|has|got|live|be|need|stay)\b|\bleft to live\b"
        r"|\bhow (?:long|much time)\b.{0,40}\b(?:live|left|heal\w*|recover\w*|get better|"
        r"hospital)\b"
        r"|\b(?:going to|will|gonna|likely to|might|could|can) "
        r"(?:\w+ ){0,3}?(?:be able to )?(?:die|live|recover|survive|walk|get better|get worse|heal|"
        r"relapse|recur|come back|spread|be ok\w*|be fine|make it)\b"
        r"|\bchances? (?:of|that|to|for)\b|\bodds of\b|\b(?:five|5|one|1|ten|10)[- ]year\b"
        r"|\brisk of (?:dying|death|dementia|another|recurrence|developing)\b|\bfull recovery\b"
        r"|\bin (?:the future|\w+ (?:months?|years?)(?: time)?)\b"
    ),
    "costs": (
        r"\bcosts?\b|\bpric(?:e|es|ing)\b|\binsur\w+|\bpay(?:s|ing|ment)?\b|\bexpensive\b"
        r"|\bcheap\w*|\bdollars?\b|\beuros?\b|\bfees?\b|\bafford\w*|\bfree of charge\b|"
        r"\bbill(?:ed|s)\b"
        r"|\breimburs\w+|\bmoney\b|\bsu(?:e|ed|ing)\b|\bliab\w+|\bmalpractice\b|\bcompensation\b"
    ),
    "who the patient is": (
        r"\bwho (?:is|was|are|were|took|made|did|has|owns|ordered|sent|signed|reported)\b|\bwhose\b"
        rf"|\b{_OTHER}(?:['’]?s)? (?:full |first |last |home |phone |e-?mail |medical |blood )?"
        r"(?:name|address|birthday|date of birth|birth ?date|number|id|identity|religion|job|"
        r"occupation|nationality|race|ethnicity|type|mrn|history|phone|insurance|records?|"
        r"profession|diagnosis date|email)\b"
        rf"|\b(?:name|address|identity|birth|nationality|race|ethnicity|religion|occupation|"
        rf"record) of "
        rf"{_DET}{_PERSON}\b|\b(?:mrn|social security|passport|(?:phone|record|insurance) number|"
        r"date of birth|race|ethnicity|religion|nationality)\b"
        r"|\b(?:what|which) (?:hospital|clinic|country|city|doctor|radiologist|physician|"
        r"year|date)\b"
        rf"|\b(?:identify|recogni[sz]e|find) {_DET}(?:patient|person|man|woman|celebrity)\b"
        rf"|\bwhere (?:does|do|did|is) {_DET}{_PERSON} (?:live|come|work|born|from)\b"
        rf"|\bwhen (?:was|is) {_DET}{_PERSON}\b.{{0,20}}\b(?:born|birthday)\b"
        rf"|\bwhere was {_DET}(?:{_PERSON} born|image (?:taken|acquired|made) (?:at|which))"
        r"|\bknow (?:this|the|that) (?:person|patient|man|woman)\b"
        r"|\b(?:muslim|christian|jewish|hindu|catholic|african|asian|caucasian|hispanic)\b"
        r"|\bfamous\b|\bcelebrity\b|\bmarried\b|\bsmokes?\b|\bsmoker\b|\bdrinks?\b"
    ),
    "what other people say": (
        r"\b(?:other|another|my|the|your|his|her|most|a|two|different) (?:doctors?|radiologists?|"
        r"physicians?|surgeons?|colleagues?|experts?|specialists?|consultants?|nurses?)\b.{0,30}"
        r"\b(?:say|says|said|think|thinks|thought|agree|agrees|agreed|wrote|write|right|"
        r"wrong|believe|"
        r"opinion|mistaken|see|saw|seen|find|found|call|called|correct|conclude|concluded|"
        r"miss|missed|report|reported)\b"
        r"|\breport (?:say|mention|state|conclude)s?\b|\bsecond opinion\b|\b(?:do|would|"
        r"did) you agree\b|\baccording to\b"
        r"|\bwhat (?:did|does|do|would|will) (?:the|another|other|most|your|my|"
        r"a) (?:\w+ )?(?:report|"
        r"doctors?|radiologists?|literature|guidelines?|textbooks?|experts?|family|surgeons?)\b"
        r"|\b(?:chatgpt|gpt-?\d|google|another model|other ai|competitor|the internet|wikipedia)\b"
        r"|\b(?:doctor|radiologist|surgeon|colleague|report)(?:['’]s) (?:opinion|view|report|"
        r"mistake)"
    ),
    "something other than the image": (
        r"^(?:hello|hi|hey|hiya|thanks?|thank you|good (?:morning|evening|afternoon|night|day)|"
        r"bye|goodbye|ok|okay|cool|lol|test|testing)\b(?!.*\b(?:image|scan|x-?ray|picture|"
        r"film|ct|mri)\b)"
        r"|\bhow are you\b|\bwho (?:are|made|built|created|trained) you\b|\byour name\b|\bare you "
        r"(?:an? )?(?:ai|human|real|robot|bot|conscious|alive|sure|able to (?:speak|talk)|doctor)\b"
        r"|\bwhat (?:can|could) you do\b|\bwhat are you\b|\bwhat model are you\b|\bjokes?\b|"
        r"\bpoems?\b"
        r"|\bstory\b|\bsongs?\b|\bsing\b|\bsecrets?\b|\bweather\b|\brain\b|\bcapital of\b|"
        r"\bpresident\b|\bfootball\b"
        r"|\bworld cup\b|\bmovies?\b|\bpython\b|\bjavascript\b|\bsource code\b|\bwhat time is it\b"
        r"|\bwhat day\b|\btoday(?:['’]s)?\b|\btomorrow\b|\brecipes?\b|\bcook\w*|\blove me\b"
        r"|\bmeaning of life\b|\b\d+ ?[+*×] ?\d+\b|\bpassword\b|\bstocks?\b|\bbitcoin\b"
        r"|\bcalculate\b|\bmultiply\b|\bessay\b|\bletter to\b|\be-?mail\b|\bpolitic\w+|"
        r"\belections?\b"
        r"|\bgod\b|\bwar\b|\bnews\b|\brestaurants?\b|\bhotels?\b|\bdo you (?:like|love|"
        r"dream|feel|sleep|speak|remember)\b|\bi (?:feel|am sad|love|hate|am feeling|am bored)\b"
    ),
}
"""By what a question is about, in words for the alert: the pattern that finds it, in lower case.

Written against 181 questions, mended with 74 more, then asked 53 new ones, of which they and
`is_about_images` find 87 %. Of SLAKE's train and validation questions those about treatment and
prevention are refused (76 of 5,972) and no other, of VQA-RAD's train questions 5 of 1,797.
"""

_PATTERNS = {subject: re.compile(pattern) for subject, pattern in SUBJECTS.items()}


def question_alert(question: str, *, mode: Mode = "withhold") -> Alert | None:
    """What a reader has to know of a question before any model sees it.

    Args:
        question: As it was typed.
        mode: What the gate "scope" may do; "off" finds nothing.

    Returns:
        An alert "question-language" or "question-out-of-scope"; None where neither applies.
    """
    if mode == "off":
        return None
    text = plain_text(question)
    language = other_language(text)
    if language is not None:
        return Alert(
            code="question-language",
            gate="scope",
            withholds=mode == "withhold",
            detail=f"The model knows English alone, and the question looks like {language}.",
        )
    for subject, pattern in _PATTERNS.items():
        if pattern.search(text):
            return Alert(
                code="question-out-of-scope",
                gate="scope",
                withholds=mode == "withhold",
                detail=f"The question is about {subject}, which no picture can answer.",
            )
    if not is_about_images(text):
        return Alert(
            code="question-out-of-scope",
            gate="scope",
            withholds=mode == "withhold",
            detail="The question names nothing that could be seen in a picture of a body.",
        )
    return None
