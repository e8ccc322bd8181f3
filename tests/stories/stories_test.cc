// Every tests/stories/*.story is one test, named after its file.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "tests/stories/steps.h"

namespace penstock::stories {
namespace {

constexpr const char* kFolder = PENSTOCK_SOURCE_DIR "/tests/stories";

class StoryTest : public testing::Test {
 public:
  explicit StoryTest(std::string file) : file_(std::move(file)) {}
  void TestBody() override {
    const auto text = ReadFile(fmt::format("{}/{}", kFolder, file_));
    ASSERT_TRUE(text.has_value()) << text.error().ToString();
    const auto story = ParseStory(*text);
    ASSERT_TRUE(story.has_value()) << file_ << ": " << story.error().message;
    const Status played = Play(*story);
    if (!played)
      ADD_FAILURE() << "tests/stories/" << file_ << ": " << story->title << "\n"
                    << played.error().message;
  }

 private:
  const std::string file_;
};

int RegisterStories() {
  const auto files = ListFiles(kFolder, ".story");
  if (!files) return 0;
  for (const std::string& file : *files)
    testing::RegisterTest("Stories", file.substr(0, file.rfind('.')).c_str(), nullptr, nullptr,
                          __FILE__, __LINE__,
                          [file]() -> testing::Test* { return new StoryTest(file); });
  return static_cast<int>(files->size());
}

const int kStories = RegisterStories();

TEST(StoryCatalogTest, ThereAreStories) { EXPECT_GE(kStories, 8); }

TEST(StoryCatalogTest, EveryKindOfStepHasOneNameAndSaysHowItIsWritten) {
  for (const auto kinds : {Actions(), Expectations()}) {
    std::set<std::string_view> names;
    for (const StepKind& kind : kinds) {
      EXPECT_TRUE(names.insert(kind.word).second) << kind.word;
      EXPECT_FALSE(kind.form.empty()) << kind.word;
    }
  }
}

TEST(StoryTextTest, WordsQuotesCommasAndRemarks) {
  const auto story = ParseStory(
      "# story: a title\n\nsend pump-7 a 1, b 2 every 1s  # a remark\nsay \"two words\"\n");
  ASSERT_TRUE(story.has_value());
  EXPECT_EQ(story->title, "a title");
  ASSERT_EQ(story->steps.size(), 2U);
  EXPECT_EQ(story->steps[0].line, 3);
  EXPECT_EQ(fmt::format("{}", fmt::join(story->steps[0].words, "|")),
            "send|pump-7|a|1|,|b|2|every|1s");
  EXPECT_EQ(story->steps[1].words[1], "two words");
  EXPECT_FALSE(ParseStory("# story: x\nsay \"open\n").has_value());
  EXPECT_FALSE(ParseStory("send pump-7 a 1\n").has_value());
}

TEST(StoryTextTest, AWrongStepIsToldWithItsLine) {
  const auto wrong =
      Play(ParseStory("# story: x\nthing pump-7 from pump.tm.json\nexpect alarms 3\n").value());
  ASSERT_FALSE(wrong.has_value());
  EXPECT_NE(wrong.error().message.find("line 3: expect alarms 3"), std::string::npos)
      << wrong.error().message;
  EXPECT_FALSE(Play(ParseStory("# story: x\ndance\n").value()).has_value());
  EXPECT_FALSE(Play(ParseStory("# story: x\nwait soon\n").value()).has_value());
}

}  // namespace
}  // namespace penstock::stories
