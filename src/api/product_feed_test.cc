#include "api/product_feed.h"

#include <gtest/gtest.h>

namespace penstock::api {
namespace {

// The feed wants a directory; an empty one knows no point, so nothing is sent.
class ProductFeedTest : public ::testing::Test {
 protected:
  std::unique_ptr<things::PointIds> ids_ = things::PointIdsInMemory();
  things::Directory directory_{"/nonexistent", *ids_};
  ProductFeed feed_{directory_};
};

TEST_F(ProductFeedTest, TakesSoManyListenersAndNoMore) {
  std::vector<std::shared_ptr<EventClient>> clients;
  for (size_t i = 0; i < kFeedListenersMax; ++i) clients.push_back(*feed_.Listen("pump", {}));
  EXPECT_EQ(feed_.Listen("pump", {}).error().code, Code::kResourceExhausted);
  clients.pop_back();  // Who left makes room.
  EXPECT_TRUE(feed_.Listen("pump", {}));
}

TEST_F(ProductFeedTest, TellsASlowListenerWhatItLost) {
  const auto client = *feed_.Listen("pump", {});
  for (size_t i = 0; i < kClientQueue + 9; ++i) client->Offer("data: x\n\n");
  const std::string text = client->Take();
  EXPECT_TRUE(text.ends_with("event: lost\ndata: {\"events\": 10}\n\n")) << text.substr(0, 40);
  client->Offer("data: y\n\n");
  EXPECT_EQ(client->Take(), "data: y\n\n");
  client->Offer(std::string(kOfferedBytesMax, 'x'));
  client->Offer("data: z\n\n");
  EXPECT_TRUE(client->Take().ends_with("{\"events\": 1}\n\n"));
}

TEST_F(ProductFeedTest, DropsItsListenersAtTheEnd) {
  const auto client = *feed_.Listen("pump", {});
  feed_.Close();
  EXPECT_TRUE(client->dropped());
}

}  // namespace
}  // namespace penstock::api
