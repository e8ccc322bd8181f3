#include "telemetry/texts.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/wire.h"
#include "storage/temporary_folder.h"

namespace penstock::telemetry {
namespace {

class TextsTest : public testing::Test {
 protected:
  std::unique_ptr<Texts> Open(TextLimits limits = {}, storage::Disk& disk = storage::SystemDisk()) {
    auto texts = Texts::Open(folder_ / "texts", limits, disk);
    EXPECT_TRUE(texts) << texts.error().ToString();
    return std::move(*texts);
  }
  std::string Content() { return ReadFile(folder_ / "texts").value(); }
  void Store(std::string_view content) {
    ASSERT_TRUE(WriteFileAtomically(folder_ / "texts", content));
  }
  storage::TemporaryFolder folder_;
};

TEST_F(TextsTest, ACodeIsMadeOfTheTextAlone) {
  const double code = TextCode("running");
  EXPECT_EQ(code, TextCode("running"));
  EXPECT_NE(code, TextCode("Running"));
  EXPECT_TRUE(MayBeText(code));
  EXPECT_EQ(code, std::floor(code));
  EXPECT_EQ(code, static_cast<double>(static_cast<uint64_t>(code)));
  EXPECT_FALSE(MayBeText(0));
  EXPECT_FALSE(MayBeText(std::nan("")));
  EXPECT_TRUE(MayBeText(TextCode("")));
}

TEST_F(TextsTest, WhatIsSyncedComesBackInTheNextLife) {
  double running = 0, umlaut = 0, lost = 0;
  {
    const auto texts = Open();
    running = texts->Intern(PointId{1}, "running").value();
    umlaut = texts->Intern(PointId{2}, "Störung: Düse 3\n\"zu\"").value();
    EXPECT_EQ(texts->Intern(PointId{7}, "running").value(), running);
    ASSERT_TRUE(texts->Sync());
    ASSERT_TRUE(texts->Sync()) << "nothing new";
    lost = texts->Intern(PointId{1}, "never synced").value();
    EXPECT_EQ(texts->Find(lost), "never synced");
  }
  const auto texts = Open();
  EXPECT_EQ(texts->size(), 2u);
  EXPECT_EQ(texts->Find(running), "running");
  EXPECT_EQ(texts->Find(umlaut), "Störung: Düse 3\n\"zu\"");
  EXPECT_FALSE(texts->Find(lost));
  EXPECT_FALSE(texts->Find(3.5));
  EXPECT_EQ(texts->Intern(PointId{1}, "never synced").value(), lost);
}

TEST_F(TextsTest, WhatIsNoTextIsRefusedWithTheReason) {
  const auto texts = Open();
  const auto refused = [&](std::string_view text) {
    const auto code = texts->Intern(PointId{1}, text);
    EXPECT_FALSE(code);
    return code ? std::string() : code.error().message;
  };
  EXPECT_EQ(refused("caf\xE9"), "the text is not UTF-8 without NUL: byte 0xE9 at 3");
  EXPECT_EQ(refused(std::string_view("a\0b", 3)),
            "the text is not UTF-8 without NUL: byte 0x00 at 1");
  for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80"})
    EXPECT_NE(refused(bad), "");
  EXPECT_EQ(refused(std::string(4097, 'x')), "a text of 4097 bytes, at most 4096 are kept");
  EXPECT_TRUE(texts->Intern(PointId{1}, std::string(4096, 'x')));
  EXPECT_TRUE(texts->Intern(PointId{1}, "\U0001F6E2 \xF4\x8F\xBF\xBF"));
  EXPECT_EQ(texts->size(), 2u);
}

TEST_F(TextsTest, EveryBoundHolds) {
  const auto texts = Open({.texts = 4, .bytes = 20, .texts_of_point = 2});
  EXPECT_TRUE(texts->Intern(PointId{1}, "a"));
  EXPECT_TRUE(texts->Intern(PointId{1}, "b"));
  const auto third = texts->Intern(PointId{1}, "c");
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Code::kResourceExhausted);
  EXPECT_EQ(third.error().message, "the point brought 2 different texts, no more are kept");
  EXPECT_TRUE(texts->Intern(PointId{1}, "a")) << "what is known goes on";
  EXPECT_TRUE(texts->Intern(PointId{2}, "c"));
  EXPECT_TRUE(texts->Intern(PointId{1}, "c")) << "another point brought it";
  EXPECT_EQ(texts->Intern(PointId{3}, "eighteen letters !").error().message,
            "the node keeps 3 bytes of texts, no more");
  EXPECT_TRUE(texts->Intern(PointId{3}, "d"));
  EXPECT_EQ(texts->Intern(PointId{4}, "e").error().message,
            "the node keeps 4 different texts, no more");
}

TEST_F(TextsTest, WhatTheHistoryHadIsLearntBesideTheBoundOfAPoint) {
  {
    const auto texts = Open({.texts_of_point = 1});
    EXPECT_FALSE(texts->complete()) << "a new file";
    for (const char* text : {"a", "b", "c"}) EXPECT_TRUE(texts->Learn(text));
    EXPECT_TRUE(texts->Intern(PointId{1}, "d"));
    ASSERT_TRUE(texts->Sync());
  }
  const auto texts = Open();
  EXPECT_TRUE(texts->complete());
  EXPECT_EQ(texts->Find(TextCode("b")), "b");
  EXPECT_EQ(texts->size(), 4u);
}

TEST_F(TextsTest, RowsAreCountedByTheirTexts) {
  const auto texts = Open();
  EXPECT_EQ(texts->RowsWithin(std::vector<double>{1, 2, TextCode("x")}, 0), 3u);
  const double ten = texts->Intern(PointId{1}, "ten bytes!").value();
  const std::vector<double> rows = {1.5, ten, ten, 2.5, ten};
  EXPECT_EQ(texts->RowsWithin(rows, 30), 5u);
  EXPECT_EQ(texts->RowsWithin(rows, 29), 4u);
  EXPECT_EQ(texts->RowsWithin(rows, 10), 2u);
  EXPECT_EQ(texts->RowsWithin(rows, 0), 1u);
  EXPECT_EQ(texts->RowsWithin({}, 0), 0u);
}

TEST_F(TextsTest, ATornTailIsCutAtEveryByte) {
  size_t one = 0;
  {
    const auto texts = Open();
    ASSERT_TRUE(texts->Intern(PointId{1}, "open"));
    ASSERT_TRUE(texts->Sync());
    one = Content().size();
    ASSERT_TRUE(texts->Intern(PointId{1}, "closed"));
    ASSERT_TRUE(texts->Sync());
  }
  const std::string whole = Content();
  for (size_t end = 0; end < whole.size(); ++end) {
    Store(whole.substr(0, end));
    const auto texts = Open();
    EXPECT_EQ(texts->size(), end >= one ? 1u : 0u) << end;
    const double code = texts->Intern(PointId{1}, "closed").value();
    ASSERT_TRUE(texts->Sync());
    EXPECT_EQ(Open()->Find(code), "closed") << end;
  }
}

TEST_F(TextsTest, ADamagedRecordCostsItselfAlone) {
  const std::string names[] = {"open", "closed", "moving"};
  {
    const auto texts = Open();
    for (const auto& name : names) ASSERT_TRUE(texts->Intern(PointId{1}, name));
    ASSERT_TRUE(texts->Sync());
  }
  const std::string whole = Content();
  for (size_t i = 0; i < whole.size() - 1; ++i) {
    std::string bad = whole;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    Store(bad);
    size_t found = 0;
    {
      const auto texts = Open();
      for (const auto& name : names) found += texts->Find(TextCode(name)).has_value() ? 1 : 0;
      EXPECT_GE(found, 2u) << i;
      for (const auto& name : names) ASSERT_TRUE(texts->Intern(PointId{1}, name));
      ASSERT_TRUE(texts->Sync());
    }
    for (const auto& name : names) EXPECT_TRUE(Open()->Find(TextCode(name))) << i;
  }
}

TEST_F(TextsTest, AFullDiskIsToldAndTheNextSyncGoesOn) {
  struct FullDisk : storage::Disk {
    int Write(int fd, ByteView bytes, uint64_t offset) override {
      return full ? ENOSPC : storage::Disk::Write(fd, bytes, offset);
    }
    bool full = true;
  } disk;
  const auto texts = Open({}, disk);
  const double code = texts->Intern(PointId{1}, "open").value();
  EXPECT_EQ(texts->Sync().error().code, Code::kResourceExhausted);
  EXPECT_FALSE(Open()->Find(code));
  disk.full = false;
  ASSERT_TRUE(texts->Sync());
  EXPECT_EQ(Open()->Find(code), "open");
}

// --- Forgetting

constexpr TextLimits kEight{.texts = 1000, .bytes = 1 << 20, .texts_of_point = 8};

TEST_F(TextsTest, WhatHasNotComeForLongIsForgottenWhenRoomIsNeeded) {
  const auto texts = Open(kEight);
  ASSERT_EQ(texts->Tidy(100, 0, {}).value(), 0u);
  for (const char* name : {"a", "b", "c", "d"}) ASSERT_TRUE(texts->Intern(PointId{1}, name));
  ASSERT_TRUE(texts->Intern(PointId{2}, "of another point"));
  ASSERT_EQ(texts->Tidy(150, 120, {}).value(), 0u) << "there is room";
  for (const char* name : {"e", "f", "g", "a"}) ASSERT_TRUE(texts->Intern(PointId{1}, name));
  ASSERT_TRUE(texts->Intern(PointId{1}, "h"));
  EXPECT_FALSE(texts->Intern(PointId{1}, "i"));
  ASSERT_EQ(texts->Tidy(151, 90, {}).value(), 0u) << "samples have them";
  const std::vector<double> present = {TextCode("b"), 3.5, TextCode("not known")};
  const std::string_view view = texts->Find(TextCode("c")).value();
  ASSERT_EQ(texts->Tidy(151, 120, present).value(), 2u);
  EXPECT_EQ(view, "c") << "somebody may look at it";
  for (const char* name : {"a", "b", "e", "h"}) EXPECT_TRUE(texts->Find(TextCode(name))) << name;
  for (const char* name : {"c", "d"}) EXPECT_FALSE(texts->Find(TextCode(name))) << name;
  EXPECT_TRUE(texts->Find(TextCode("of another point"))) << "its point has room";
  EXPECT_EQ(texts->size(), 7u);
  EXPECT_TRUE(texts->Intern(PointId{1}, "i"));
  EXPECT_TRUE(texts->Intern(PointId{1}, "c"));
  EXPECT_FALSE(texts->Intern(PointId{1}, "d"));
  ASSERT_TRUE(texts->Sync());
  const auto next = Open(kEight);
  EXPECT_EQ(next->size(), 9u);
  EXPECT_EQ(next->Find(TextCode("i")), "i");
  EXPECT_FALSE(next->Find(TextCode("d")));
}

TEST_F(TextsTest, ATextThatCameAgainIsNotOldInTheNextLife) {
  {
    const auto texts = Open(kEight);
    ASSERT_TRUE(texts->Tidy(100, 0, {}));
    for (const char* name : {"daily", "again", "c", "d", "e", "f", "g", "h"})
      ASSERT_TRUE(texts->Intern(PointId{1}, name));
    ASSERT_TRUE(texts->Sync());
    for (uint32_t day = 101; day < 200; ++day) {
      ASSERT_TRUE(texts->Tidy(day, 0, {}));
      ASSERT_TRUE(texts->Intern(PointId{1}, "daily"));
    }
    ASSERT_TRUE(texts->Intern(PointId{1}, "again"));
    ASSERT_TRUE(texts->Sync());
  }  // Without another Tidy.
  const auto texts = Open(kEight);
  EXPECT_EQ(texts->newest_day(), 199u);
  EXPECT_EQ(texts->Tidy(200, 198, {}).value(), 6u);
  EXPECT_TRUE(texts->Find(TextCode("daily")));
  EXPECT_TRUE(texts->Find(TextCode("again")));
}

TEST_F(TextsTest, ADiskThatTakesNothingForgetsNothing) {
  const auto texts = Open(kEight);
  ASSERT_TRUE(texts->Tidy(100, 0, {}));
  for (char name = 'a'; name < 'i'; ++name)
    ASSERT_TRUE(texts->Intern(PointId{1}, std::string(1, name)));
  ASSERT_TRUE(texts->Sync());
  const std::string moved = folder_ / "elsewhere";
  std::filesystem::create_directory(moved);
  std::filesystem::rename(folder_ / "texts", moved + "/texts");
  std::filesystem::create_directory(folder_ / "texts");  // In the way of the new file.
  EXPECT_FALSE(texts->Tidy(200, 150, {}));
  EXPECT_EQ(texts->size(), 8u);
  std::filesystem::remove(folder_ / "texts");
  EXPECT_EQ(texts->Tidy(200, 150, {}).value(), 8u);
  ASSERT_TRUE(texts->Intern(PointId{1}, "new"));
  ASSERT_TRUE(texts->Sync());
  EXPECT_EQ(Open()->size(), 1u);
}

TEST_F(TextsTest, AFileOfTheFirstVersionIsReadAndItsTextsAreOfToday) {
  Bytes old;
  wire::Put(old, uint32_t{0});
  wire::Put(old, uint32_t{1});
  wire::Put(old, uint16_t{4});
  for (const char c : std::string_view("open")) old.push_back(static_cast<uint8_t>(c));
  wire::Store(old.data(), Crc32c(ByteView(old).subspan(4)));
  Store("PSTEXT1\n" + std::string(AsText(old)));
  const auto texts = Open(kEight);
  EXPECT_TRUE(texts->complete());
  EXPECT_EQ(texts->Find(TextCode("open")), "open");
  for (char name = 'a'; name < 'h'; ++name)
    ASSERT_TRUE(texts->Intern(PointId{1}, std::string(1, name)));
  EXPECT_EQ(texts->Tidy(300, 299, {}).value(), 0u) << "nobody knows how old it is";
  ASSERT_TRUE(texts->Sync());
  EXPECT_TRUE(Content().starts_with("PSTEXT2\n"));
  EXPECT_EQ(Open()->size(), 8u);
}

TEST_F(TextsTest, NothingIsLostWhileSourcesComeAndOldTextsGo) {
  constexpr int kDays = 60, kOrdersADay = 40;
  const auto texts = Open({.texts = 100'000, .bytes = 1 << 20, .texts_of_point = 400});
  std::atomic<uint32_t> today{100};
  ASSERT_TRUE(texts->Tidy(today, 0, {}));
  std::atomic<bool> over{false};
  std::jthread housekeeping([&] {
    while (!over) EXPECT_TRUE(texts->Tidy(today, today - 2, {}));
  });
  std::jthread pipeline([&] {
    while (!over) EXPECT_TRUE(texts->Sync());
  });
  for (int day = 0; day < kDays; ++day, ++today) {
    while (texts->size() > 350) std::this_thread::yield();  // As if a day were long.
    for (int i = 0; i < kOrdersADay; ++i)
      ASSERT_TRUE(texts->Intern(PointId{1}, fmt::format("order {}-{}", day, i)));
    ASSERT_TRUE(texts->Intern(PointId{1}, "running"));
    EXPECT_TRUE(texts->Find(TextCode(fmt::format("order {}-7", day)))) << day;
  }
  over = true;
  housekeeping.join();
  pipeline.join();
  ASSERT_TRUE(texts->Sync());
  const auto next = Open();
  EXPECT_TRUE(next->complete());
  EXPECT_EQ(next->Find(TextCode("running")), "running");
  for (int i = 0; i < kOrdersADay; ++i)
    EXPECT_TRUE(next->Find(TextCode(fmt::format("order {}-{}", kDays - 1, i)))) << i;
}

}  // namespace
}  // namespace penstock::telemetry
