#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "base/bounded_queue.h"
#include "base/file.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"

namespace penstock {
namespace {

TEST(ResultTest, CarriesCodeMessagePlaceAndFix) {
  auto error = NotFound("point unknown: {}", "pump-7/vibration").error();
  error.Where("things/pump-7.td.json").At("/properties").Fix("see penstock check");
  EXPECT_EQ(HttpStatus(error.code), 404);
  EXPECT_EQ(error.ToString(),
            "things/pump-7.td.json#/properties: point unknown: pump-7/vibration (fix: see penstock "
            "check)");
}

TEST(ResultTest, KnowsTheFullDiskAndThePortInUse) {
  EXPECT_EQ(FromErrno(ENOSPC, "write").error().code, Code::kResourceExhausted);
  EXPECT_EQ(FromErrno(EADDRINUSE, "listen").error().code, Code::kAlreadyExists);
}

TEST(RandomTest, SameSeedSameNumbersOnEveryMachine) {
  Random a(42), b(42);
  EXPECT_EQ(a.Next(), b.Next());
  EXPECT_EQ(Random(42).Next(), 0x15780b2e0c2ec716ULL);
  EXPECT_NE(a.Fork("weather").Next(), a.Fork("pump").Next());
}

TEST(RandomTest, NormalHasItsMoments) {
  Random random(7);
  double sum = 0, squares = 0;
  constexpr int kCount = 200000;
  for (int i = 0; i < kCount; ++i) {
    const double x = random.Normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.01);
  EXPECT_NEAR(squares / kCount, 1, 0.02);
}

TEST(BoundedQueueTest, SaysNoWhenFullAndDrainsWhenClosed) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.TryPush(1));
  EXPECT_TRUE(queue.TryPush(2));
  EXPECT_FALSE(queue.TryPush(3));
  queue.Close();
  EXPECT_FALSE(queue.Push(4));
  EXPECT_EQ(queue.PopMany(10, std::chrono::microseconds(0)).size(), 2U);
  EXPECT_FALSE(queue.Pop(std::chrono::microseconds(0)));
}

TEST(BoundedQueueTest, HandsOverBetweenThreadsInOrder) {
  BoundedQueue<int> queue(4);
  std::jthread producer([&] {
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(queue.Push(int{i}));
    queue.Close();
  });
  int expected = 0;
  while (auto item = queue.Pop(std::chrono::seconds(5))) EXPECT_EQ(*item, expected++);
  EXPECT_EQ(expected, 1000);
}

TEST(FileTest, ReplacesAFileAsAWhole) {
  const auto folder = std::filesystem::temp_directory_path() / "penstock_file_test";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(MakeFolders(folder.string()));
  const std::string path = (folder / "a.txt").string();
  ASSERT_TRUE(WriteFileAtomically(path, "one"));
  ASSERT_TRUE(WriteFileAtomically(path, "two"));
  EXPECT_EQ(ReadFile(path).value(), "two");
  EXPECT_EQ(ReadFile(path, 2).error().code, Code::kResourceExhausted);
  EXPECT_EQ(ReadFile(path + "x").error().code, Code::kNotFound);
  EXPECT_EQ(ListFiles(folder.string(), ".txt").value().size(), 1U);
  std::filesystem::remove_all(folder);
}

TEST(MetricsTest, PrintsPrometheusText) {
  Counter("test_things_total", "Things", "kind=\"a\"").Add(3);
  const std::string text = PrometheusText();
  EXPECT_NE(text.find("# TYPE test_things_total counter\n"), std::string::npos);
  EXPECT_NE(text.find("test_things_total{kind=\"a\"} 3\n"), std::string::npos);
}

}  // namespace
}  // namespace penstock
