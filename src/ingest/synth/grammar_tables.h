// What made-up notes are written with: sentences with {slots} and the words that fill them. Plain ASCII; no stop inside a sentence.
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace tributary::synth {

// One way to fill a slot a level; which level a note takes follows from a factor of the latent state.
struct SlotTable {
  std::string_view name;
  int factor;                                                 // 0 ... 2, or -1: any level with equal chance
  std::span<const std::span<const std::string_view>> levels;  // from low factor to high
};

using Words = std::span<const std::string_view>;

inline constexpr std::array<std::string_view, 4> minimal{"minimal", "trace", "slight", "resolving"}, mild{"mild", "modest", "intermittent", "stable"},
    moderate{"moderate", "persistent", "marked", "significant"}, severe{"severe", "profound", "critical", "refractory"};
inline constexpr std::array<Words, 4> severity{minimal, mild, moderate, severe};

inline constexpr std::array<std::string_view, 3> recovering{"improving steadily", "ready for transfer", "comfortable at rest"},
    steady{"stable overnight", "unchanged since morning", "holding on current support"},
    worse{"slowly worsening", "more tired than yesterday", "requiring closer observation"},
    failing{"deteriorating rapidly", "in shock despite support", "at high risk of arrest"};
inline constexpr std::array<Words, 4> course{recovering, steady, worse, failing};

inline constexpr std::array<std::string_view, 3> room_air{"room air", "nasal cannula", "low flow oxygen"},
    high_support{"high flow oxygen", "noninvasive ventilation", "mechanical ventilation"};
inline constexpr std::array<Words, 2> support{room_air, high_support};

inline constexpr std::array<std::string_view, 6> cardiac_conditions{"atrial fibrillation", "congestive heart failure", "acute coronary syndrome",
                                                                    "aortic stenosis",     "cardiomyopathy",           "ventricular tachycardia"},
    infectious_conditions{"pneumonia", "urinary tract infection", "cellulitis", "bacteremia", "septic arthritis", "intraabdominal abscess"};
inline constexpr std::array<Words, 2> condition_one{cardiac_conditions, infectious_conditions};

inline constexpr std::array<std::string_view, 5> cardiac_drugs{"metoprolol", "amiodarone", "furosemide", "heparin", "aspirin"},
    infectious_drugs{"vancomycin", "cefepime", "piperacillin-tazobactam", "meropenem", "azithromycin"};
inline constexpr std::array<Words, 2> drug_one{cardiac_drugs, infectious_drugs};

inline constexpr std::array<std::string_view, 5> cardiac_findings{"elevated troponin", "new murmur", "jugular venous distension", "irregular rhythm",
                                                                  "leg swelling"},
    infectious_findings{"purulent sputum", "positive blood cultures", "fever with chills", "leukocytosis", "cloudy urine"};
inline constexpr std::array<Words, 2> finding_one{cardiac_findings, infectious_findings};

inline constexpr std::array<std::string_view, 6> neurological_conditions{"ischemic stroke",    "seizure disorder", "subdural hematoma",
                                                                         "alcohol withdrawal", "meningioma",       "dementia"},
    metabolic_conditions{"acute kidney injury", "diabetic ketoacidosis", "hyperkalemia", "chronic kidney disease", "metabolic acidosis", "nephrotic syndrome"};
inline constexpr std::array<Words, 2> condition_two{neurological_conditions, metabolic_conditions};

inline constexpr std::array<std::string_view, 5> neurological_drugs{"levetiracetam", "haloperidol", "mannitol", "lorazepam", "dexmedetomidine"},
    metabolic_drugs{"insulin", "bicarbonate", "calcium gluconate", "sevelamer", "albumin"};
inline constexpr std::array<Words, 2> drug_two{neurological_drugs, metabolic_drugs};

inline constexpr std::array<std::string_view, 5> neurological_findings{"left sided weakness", "slurred speech", "new confusion", "unequal pupils", "tremor"},
    metabolic_findings{"rising creatinine", "low urine output", "high glucose", "peaked t waves", "fluid overload"};
inline constexpr std::array<Words, 2> finding_two{neurological_findings, metabolic_findings};

inline constexpr std::array<std::string_view, 8> bystanders{"chest pain", "abdominal pain", "nausea",       "headache",
                                                            "rash",       "dizziness",      "constipation", "back pain"};
inline constexpr std::array<Words, 1> bystander{bystanders};
inline constexpr std::array<std::string_view, 6> teams{"cardiology", "infectious disease", "nephrology", "neurology", "surgery", "pharmacy"};
inline constexpr std::array<Words, 1> team{teams};
inline constexpr std::array<std::string_view, 5> people{"wife", "son", "daughter", "husband", "sister"};
inline constexpr std::array<Words, 1> person{people};
inline constexpr std::array<std::string_view, 12> small_numbers{"1", "2", "3", "4", "5", "6", "8", "10", "12", "15", "20", "24"};
inline constexpr std::array<Words, 1> number{small_numbers};

inline constexpr std::array<SlotTable, 13> slot_tables{{{"severity", 0, severity},
                                                        {"course", 0, course},
                                                        {"support", 0, support},
                                                        {"condition1", 1, condition_one},
                                                        {"drug1", 1, drug_one},
                                                        {"finding1", 1, finding_one},
                                                        {"condition2", 2, condition_two},
                                                        {"drug2", 2, drug_two},
                                                        {"finding2", 2, finding_two},
                                                        {"bystander", -1, bystander},
                                                        {"team", -1, team},
                                                        {"person", -1, person},
                                                        {"number", -1, number}}};

// Paragraphs of a note take their sentences from these lists in turn.
inline constexpr std::array<std::string_view, 8> history{"Patient admitted with {severity} {condition1}.",
                                                         "History of {condition2}, on {drug2} at home.",
                                                         "Past history of {condition1} and {condition2}.",
                                                         "The {person} reports {severity} {bystander} for {number} days.",
                                                         "Denies {bystander} or {bystander}.",
                                                         "Known {condition2} since {number} years.",
                                                         "Came in with {finding1} and {finding2}.",
                                                         "No known drug allergies."};
inline constexpr std::array<std::string_view, 8> examination{"On exam {severity} distress, {finding1}.",
                                                             "Patient is {course}, on {support}.",
                                                             "Found {severity} {finding2} this shift.",
                                                             "Lungs with {severity} crackles, abdomen soft.",
                                                             "Pain relieved {number} minutes after acetaminophen.",
                                                             "Imaging shows {finding1}, no evidence of {bystander}.",
                                                             "Skin warm and dry, pulses present.",
                                                             "Alert and oriented, up in chair for {number} minutes."};
inline constexpr std::array<std::string_view, 8> plan{"Continue {drug1} {number} mg every {number} hours.",
                                                      "Started {drug2} for {severity} {condition2}.",
                                                      "Plan: {drug1} for {condition1}, recheck labs in {number} hours.",
                                                      "Consulted {team}; they agree with {drug2}.",
                                                      "Course {course}.",
                                                      "Family updated at bedside by {team}.",
                                                      "Monitor for {finding2} and {bystander}.",
                                                      "Will discuss goals of care with {person}."};
inline constexpr std::array<Words, 3> paragraphs{history, examination, plan};

}  // namespace tributary::synth
