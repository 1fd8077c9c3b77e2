#include <gtest/gtest.h>
#include <zlib.h>

#include "base/error.h"
#include "base/files.h"
#include "ingest/csv_table.h"
#include "support/folder.h"

namespace tributary {
namespace {

struct Read {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::int64_t> lines;
  std::vector<std::string> unreadable;  // "line: reason"
};

Read read(const std::filesystem::path& path) {
  Read result;
  read_csv(path, {[&](const CsvHeader& header) { result.header = header.names(); },
                  [&](const CsvRow& row) {
                    result.rows.push_back(row.fields);
                    result.lines.push_back(row.line);
                  },
                  [&](std::int64_t line, std::string_view reason) { result.unreadable.push_back(std::to_string(line) + ": " + std::string(reason)); }});
  return result;
}

Read read_text(const std::string& text) {
  const test::Folder folder;
  write_file(folder.path() / "table.csv", text);
  return read(folder.path() / "table.csv");
}

std::string message_of(const std::function<void()>& work, ErrorKind kind) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(CsvTable, quoted_fields_hold_commas_quotes_and_newlines) {
  const Read found = read_text("Id,Name\n1,\"a, \"\"b\"\"\nc\"\n\n2,plain\r\n3,\"last\"");
  EXPECT_EQ(found.header, (std::vector<std::string>{"Id", "Name"}));
  EXPECT_EQ(found.rows, (std::vector<std::vector<std::string>>{{"1", "a, \"b\"\nc"}, {"2", "plain"}, {"3", "last"}}));
  EXPECT_EQ(found.lines, (std::vector<std::int64_t>{2, 5, 6}));
  EXPECT_TRUE(found.unreadable.empty());
}

TEST(CsvTable, rows_that_cannot_be_parsed_are_named_by_line_and_reading_goes_on) {
  const Read found = read_text("a,b\n1,2\n3\n4,\"x\"y\n5,6\n7,8,9\n10,11\n");
  EXPECT_EQ(found.rows, (std::vector<std::vector<std::string>>{{"1", "2"}, {"5", "6"}, {"10", "11"}}));
  ASSERT_EQ(found.unreadable.size(), 3U);
  EXPECT_EQ(found.unreadable[0].substr(0, 2), "3:");
  EXPECT_EQ(found.unreadable[1], "4: broken quotes");
  EXPECT_EQ(found.unreadable[2].substr(0, 2), "6:");
}

TEST(CsvTable, a_quote_that_is_never_closed_loses_no_more_than_its_own_row) {
  const Read at_end = read_text("a,b\n1,2\n3,\"open\n4,5\n");
  EXPECT_EQ(at_end.rows.size(), 1U);
  EXPECT_EQ(at_end.unreadable, (std::vector<std::string>{"3: a quote that is never closed"}));

  std::string text = "a,b\n1,\"open";
  for (int i = 0; i < 200000; ++i) text += "\nfiller,more";
  const Read found = read_text(text + "\n");
  EXPECT_EQ(found.unreadable.size(), 1U);
  EXPECT_GT(found.rows.size(), 100000U);  // from one mebibyte on, rows count again
}

TEST(CsvTable, columns_are_found_whatever_their_case) {
  const CsvHeader header({"PatientID", " time "});
  EXPECT_EQ(header.find("patientid"), 0);
  EXPECT_EQ(header.find("TIME"), 1);
  EXPECT_EQ(header.find("patient"), -1);
}

TEST(CsvTable, gzip_files_read_like_plain_ones_and_a_cut_one_is_refused) {
  const test::Folder folder;
  const std::filesystem::path path = folder.path() / "table.csv.gz";
  gzFile file = gzopen(path.c_str(), "wb");
  std::string text = "a,b\n";
  for (int i = 0; i < 30000; ++i) text += std::to_string(i * 7919 % 104729) + "," + std::to_string(i) + "\n";
  ASSERT_GT(gzwrite(file, text.data(), static_cast<unsigned>(text.size())), 0);
  gzclose(file);
  const Read found = read(path);
  ASSERT_EQ(found.rows.size(), 30000U);
  EXPECT_EQ(found.rows.back(), (std::vector<std::string>{std::to_string(29999 * 7919 % 104729), "29999"}));
  EXPECT_EQ(found.lines.back(), 30001);

  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  const std::string message = message_of([&] { (void)read(path); }, ErrorKind::data);
  EXPECT_NE(message.find("table.csv.gz"), std::string::npos) << message;
}

TEST(CsvTable, a_missing_file_and_an_empty_one_are_errors) {
  const test::Folder folder;
  (void)message_of([&] { (void)read(folder.path() / "absent.csv"); }, ErrorKind::missing);
  (void)message_of([&] { (void)read_text(""); }, ErrorKind::data);
}

}  // namespace
}  // namespace tributary
