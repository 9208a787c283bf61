/** Questions worth asking of a kind of picture. Shown in the reader's language, sent in English. */

const PARTS = {
  chest: ["CHEST", "THORAX", "LUNG", "HEART", "CLAVICLE", "RIB", "STERNUM", "TSPINE", "BREAST"],
  head: ["HEAD", "BRAIN", "SKULL", "ORBIT", "PITUITARY", "SELLA", "HEADNECK"],
  abdomen: ["ABDOMEN", "LIVER", "KIDNEY", "SPLEEN", "PANCREAS", "BLADDER", "PELVIS", "ABDOMENPELVIS"],
};

const RADIOGRAPHS = ["CR", "DX", "DR", "RG", "RF"];

/** Of a chest picture of any kind, of a head's, …; `only`: of these modalities alone. */
const QUESTIONS = [
  { key: "suggest.heart-enlarged", part: "chest" },
  { key: "suggest.effusion", part: "chest" },
  { key: "suggest.pneumothorax", part: "chest" },
  { key: "suggest.lung-healthy", part: "chest" },
  { key: "suggest.midline-shift", part: "head" },
  { key: "suggest.haemorrhage", part: "head" },
  { key: "suggest.brain-healthy", part: "head" },
  { key: "suggest.liver-healthy", part: "abdomen" },
  { key: "suggest.free-air", part: "abdomen", only: RADIOGRAPHS },
  { key: "suggest.fat-stranding", part: "abdomen", only: ["CT"] },
  { key: "suggest.mr-weighting", only: ["MR"] },
  { key: "suggest.plane", only: ["CT", "MR"] },
  { key: "suggest.normal" },
  { key: "suggest.where-abnormal" },
  { key: "suggest.modality" },
  { key: "suggest.body-part" },
];

/** The keys of the questions that suit a picture, the most particular first. */
export function suggestionsFor({ modality, body_part: bodyPart }) {
  const term = (bodyPart ?? "").replaceAll(/[^A-Z]/g, "");
  const part = Object.keys(PARTS).find((name) => PARTS[name].includes(term));
  const suits = (question) =>
    (question.part === undefined || question.part === part) &&
    (question.only === undefined || question.only.includes(modality));
  return QUESTIONS.filter(suits).map(({ key }) => key);
}

/** The key of every suggestion there is. */
export const ALL_SUGGESTIONS = QUESTIONS.map(({ key }) => key);
