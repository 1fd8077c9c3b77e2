// Small made-up source folders in the layouts of eICU and of the PhysioNet 2012 challenge.
#pragma once

#include <zlib.h>

#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/files.h"

namespace tributary::test {

// Rows of one table by its file name (without ending); the first row is the header.
using SourceTables = std::map<std::string, std::vector<std::string>>;

inline void write_tables(const SourceTables& tables, const std::filesystem::path& folder, bool compressed) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, rows] : tables) {
    std::string text;
    for (const std::string& row : rows) text += row + "\n";
    if (!compressed) {
      write_file(folder / (name + ".csv"), text);
      continue;
    }
    gzFile file = gzopen((folder / (name + ".csv.gz")).c_str(), "wb");
    if (file == nullptr || gzwrite(file, text.data(), static_cast<unsigned>(text.size())) <= 0 || gzclose(file) != Z_OK) throw std::runtime_error("gzip");
  }
}

// 42 stays: 101 has something in every table, 102 is over 89 years old and died, 103 ends before hour 24, 104 has no known outcome; the others are plain.
inline SourceTables made_up_eicu() {
  SourceTables t;
  t["patient"] = {
      "PatientUnitStayID,uniquepid,gender,age,ethnicity,admissionheight,admissionweight,unittype,unitadmitsource,hospitaladmitsource,unitstaytype,"
      "unitvisitnumber,hospitaladmitoffset,hospitaldischargestatus,unitdischargeoffset,apacheadmissiondx",
      "101,p1,Female,70,Caucasian,165.0,60.5,MICU,PACU,Floor,admit,1,-30,Alive,2880,\"Sepsis, pulmonary\"",
      "102,p2,Male,> 89,,,,SICU,Floor,,readmit,2,-2000,Expired,14400,",
      "103,p3,Male,50,Hispanic,180,80,SICU,Floor,,admit,1,-1,Expired,1439,",
      "104,p1,Female,70,Caucasian,999,60.5,Neuro ICU,Chest Pain Center,,transfer,2,,,1440,",
  };
  for (int i = 200; i < 238; ++i)
    t["patient"].push_back(std::to_string(i) + ",q" + std::to_string(i / 2) + ",Male," + std::to_string(i - 160) +
                           ",Asian,170,70,MICU,Floor,Floor,admit,1,-5," + (i % 5 == 0 ? "Expired" : "Alive") + "," + std::to_string(1500 + 300 * (i % 20)) +
                           ",");
  t["apacheApsVar"] = {
      "patientunitstayid,intubated,vent,dialysis,eyes,motor,verbal,meds,urine,wbc,temperature,respiratoryrate,sodium,heartrate,meanbp,ph,"
      "hematocrit,creatinine,albumin,pao2,pco2,bun,glucose,bilirubin,fio2",
      "101,0,1,0,4,6,5,0,-1,10.2,36.2,39,139,88,108,-1,37.8,1.04,-1,-1,-1,28,61,-1,-1"};
  t["apachePredVar"] = {
      "patientunitstayid,diedinhospital,thrombolytics,aids,hepaticfailure,lymphoma,metastaticcancer,leukemia,immunosuppression,cirrhosis,"
      "electivesurgery,activetx,readmit,midur,oobventday1,oobintubday1,diabetes",
      "101,1,0,0,0,0,1,0,0,0,,1,0,0,1,1,0"};
  t["vitalAperiodic"] = {"patientunitstayid,observationoffset,noninvasivesystolic,noninvasivediastolic,noninvasivemean",
                         "101,61,120,60,80",
                         "101,119,130,,90",
                         "101,-10,100,50,70",
                         "101,-400,222,111,155",
                         "101,300,120,60,999"};
  t["respiratoryCharting"] = {"patientunitstayid,respchartoffset,respchartentryoffset,respchartvaluelabel,respchartvalue", "101,120,130,FiO2,0.4",
                              "101,180,185,PEEP,5", "101,240,240,FiO2,room air"};
  t["respiratoryCare"] = {"patientunitstayid,respcarestatusoffset,airwaytype", "101,200,Oral ETT"};
  t["intakeOutput"] = {"patientunitstayid,intakeoutputoffset,intakeoutputentryoffset,cellpath,cellvaluenumeric",
                       "101,120,120,flowsheet|Flowsheet Cell Labels|I&O|Output (ml)|Urine,100",
                       "101,150,150,flowsheet|Flowsheet Cell Labels|I&O|Output (ml)|Urine,50",
                       "101,120,120,flowsheet|Flowsheet Cell Labels|I&O|Intake (ml)|Crystalloids (ml)|NS,250"};
  t["infusionDrug"] = {"patientunitstayid,infusionoffset,drugname,drugrate", "101,60,Norepinephrine (mcg/min),8", "101,130,Norepinephrine (ml/hr),0"};
  t["lab"] = {"patientunitstayid,labresultoffset,labresultrevisedoffset,labname,labresult", "101,30,31,sodium,141", "101,45,46,sodium,143",
              "101,50,55,BUN,31.0"};
  t["physicalExam"] = {"patientunitstayid,physicalexamoffset,physicalexampath,physicalexamvalue,physicalexamtext",
                       "101,75,notes/Progress Notes/Physical Exam/Physical Exam/Neurologic/GCS/Motor Score/6,6,6",
                       "101,75,notes/Progress Notes/Physical Exam/Physical Exam/Constitutional/Vital Sign and Physiological Data/HR/HR Current,HR Current,88"};
  t["carePlanGeneral"] = {"patientunitstayid,cplitemoffset,cplgroup,cplitemvalue", "101,49,Care Limitation,Full therapy"};
  t["note"] = {"patientunitstayid,noteoffset,noteenteredoffset,notepath,notetext",
               "101,-5,80,notes/Progress Notes/Review Of Systems/Systems/Pulmonary/Cough,yes",
               "101,1,80,notes/Progress Notes/Assessment and Plan/Sepsis,Sepsis"};
  t["pastHistory"] = {"patientunitstayid,pasthistoryoffset,pasthistoryenteredoffset,pasthistorypath,pasthistoryvalue",
                      "101,-9000,12,notes/Progress Notes/Past History/Organ Systems/Pulmonary/Asthma/asthma,asthma"};
  t["allergy"] = {"patientunitstayid,allergyoffset,allergyenteredoffset,allergyname", "101,20,70,\"penicillins, all\""};
  t["diagnosis"] = {"patientunitstayid,diagnosisoffset,diagnosisstring,diagnosispriority", "101,5028,cardiovascular|hypertension,Primary",
                    "102,30,renal|failure,Primary", "102,20,infectious diseases|sepsis,Other"};
  t["admissionDx"] = {"patientunitstayid,admitdxenteredoffset,admitdxpath", "101,162,admission diagnosis|All Diagnosis|Sepsis",
                      "104,10,admission diagnosis|No"};
  t["medication"] = {"patientunitstayid,drugorderoffset,drugordercancelled,drugname",
                     "101,100,No,ASPIRIN 81 MG",
                     "101,1500,No,CLOPIDOGREL 75 MG",
                     "101,1500,No,furosemide 20 mg",
                     "101,1600,Yes,WARFARIN 5 MG",
                     "102,10,No,ASPIRIN 81 MG"};
  t["treatment"] = {"patientunitstayid,treatmentoffset,treatmentstring", "101,100,pulmonary|ventilation|weaning", "101,2000,renal|dialysis|emergent",
                    "101,2000,pulmonary|ventilation|mode"};
  for (int i = 200; i < 238; ++i) {
    const std::string id = std::to_string(i);
    for (int hour = 0; hour < 30; hour += 3)
      t["vitalAperiodic"].push_back(id + "," + std::to_string(hour * 60 + i % 60) + "," + std::to_string(100 + i % 30) + ",60," + std::to_string(70 + hour));
    t["diagnosis"].push_back(id + ",100," + (i % 3 == 0 ? "cardiovascular|shock" : "pulmonary|failure") + ",Primary");
    t["treatment"].push_back(id + ",1600," + (i % 3 == 0 ? "renal|dialysis|x" : "general|nutrition|y"));
    t["pastHistory"].push_back(id + ",10,10,notes/Progress Notes/Past History/Organ Systems/Cardiovascular/Angina/angina " + (i % 2 == 0 ? "stable" : "rest") +
                               ",x");
  }
  return t;
}

// Rows about stay 101 that only an input may show, with `time` and the time of entry put in: one or more a table.
inline SourceTables planted_rows(int time, int entered) {
  const std::string t = std::to_string(time), e = std::to_string(entered);
  return {
      {"vitalAperiodic", {"101," + t + ",177,97,133"}},
      {"respiratoryCharting", {"101," + t + "," + e + ",Plateau Pressure,33"}},
      {"respiratoryCare", {"101," + t + ",Tracheostomy"}},
      {"intakeOutput", {"101," + t + "," + e + ",flowsheet|Flowsheet Cell Labels|I&O|Output (ml)|Stool,777"}},
      {"infusionDrug", {"101," + t + ",Insulin (units/hr),7"}},
      {"lab", {"101," + t + "," + e + ",lactate,17.7"}},
      {"physicalExam",
       {"101," + t + ",notes/Progress Notes/Physical Exam/Physical Exam/Skin/Planted/planted,planted,planted",
        "101," + t + ",notes/Progress Notes/Physical Exam/Physical Exam/Neurologic/GCS/Eyes Score/1,1,1"}},
      {"carePlanGeneral", {"101," + t + ",Care Limitation,Do not resuscitate"}},
      {"note", {"101," + t + "," + e + ",notes/Progress Notes/Review Of Systems/Systems/Planted,planted"}},
      {"pastHistory", {"101," + t + "," + e + ",notes/Progress Notes/Past History/Organ Systems/Planted/planted,planted"}},
      {"allergy", {"101," + t + "," + e + ",planted"}},
  };
}

// Four records, of which the last has no values; descriptors with -1.
inline std::map<std::string, std::string> made_up_physionet() {
  return {
      {"132539",
       "Time,Parameter,Value\n00:00,RecordID,132539\n00:00,Age,54\n00:00,Gender,0\n00:00,Height,-1\n00:00,ICUType,4\n00:00,Weight,-1\n00:07,HR,73\n"
       "00:37,HR,77\n47:59,GCS,15\n48:00,GCS,3\n01:10,Urine,900\n01:40,Urine,100\n02:00,HR,1000\n"},
      {"132540",
       "Time,Parameter,Value\n00:00,RecordID,132540\n00:00,Age,76\n00:00,Gender,1\n00:00,Height,175.3\n00:00,ICUType,2\n00:00,Weight,76\n10:00,pH,7.45\n"},
      {"132541",
       "Time,Parameter,Value\n00:00,RecordID,132541\n00:00,Age,44\n00:00,Gender,-1\n00:00,Height,-1\n00:00,ICUType,3\n00:00,Weight,56.7\n05:00,K,4.1\n"},
  };
}

inline const char* const made_up_outcomes =
    "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n132539,6,1,5,-1,0\n132540,16,8,17,-1,1\n132541,21,11,-1,-1,0\n132542,1,1,10,-1,0\n";

}  // namespace tributary::test
