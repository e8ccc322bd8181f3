#include "fleet/device_registry.h"

#include <gtest/gtest.h>

namespace penstock::fleet {
namespace {

Error Why(const char* text) { return {Code::kUnavailable, text}; }
Time At(int seconds) { return FromMicros(0) + std::chrono::seconds(seconds); }

class DeviceRegistryTest : public testing::Test {
 protected:
  std::unique_ptr<storage::Records> records_ =
      std::move(storage::Records::Open(":memory:").value());
  std::unique_ptr<DeviceRegistry> registry_ = std::move(DeviceRegistry::Open(*records_).value());
};

TEST_F(DeviceRegistryTest, TellsADeviceThatWentAndCameBack) {
  registry_->OnConnected("pump-7", "modbus", "127.0.0.1:502/1", At(1));
  registry_->OnSamples("pump-7", 10, At(2));
  registry_->OnDisconnected("pump-7", Why("timed out"), At(3));
  registry_->OnDisconnected("pump-7", Why("refused"), At(4));
  EXPECT_EQ(registry_->Get("pump-7")->state, DeviceState::kRetrying);
  EXPECT_EQ(registry_->Get("pump-7")->since, At(3));
  registry_->OnConnected("pump-7", "modbus", "127.0.0.1:502/1", At(9));
  const DeviceStatus device = registry_->Get("pump-7").value();
  EXPECT_EQ(device.restarts, 1U);
  EXPECT_EQ(device.samples, 10U);
  EXPECT_EQ(device.errors, 2U);
  EXPECT_EQ(device.last_error, "refused");
  ASSERT_TRUE(registry_->Flush());
  const Json changes = registry_->Changes("pump-7").value();
  ASSERT_EQ(changes.size(), 3U);
  EXPECT_EQ(changes[0]["state"], "connected");
  EXPECT_EQ(changes[1]["reason"], "timed out");
}

TEST_F(DeviceRegistryTest, KeepsTheLatestChangesOnly) {
  for (int i = 0; i < 300; ++i) {
    registry_->OnConnected("x", "mqtt", "a", At(2 * i));
    registry_->OnDisconnected("x", Why("gone"), At(2 * i + 1));
  }
  ASSERT_TRUE(registry_->Flush());
  EXPECT_EQ(records_->Query("SELECT count(*) FROM device_changes").value()[0].Integer(0),
            kChangesKept);
}

TEST_F(DeviceRegistryTest, ADeviceThatNeverAnsweredSaysSo) {
  registry_->OnError("y", Why("torn"), At(1));
  EXPECT_EQ(registry_->ToJson()[0]["state"], "never");
  EXPECT_TRUE(registry_->ToJson()[0]["last_seen"].is_null());
}

TEST_F(DeviceRegistryTest, ExpectsWhatIsDescribed) {
  things::Snapshot snapshot;
  snapshot.things.resize(1);
  things::Thing& pump = snapshot.things[0];
  pump.name = "pump-7";
  pump.properties.resize(1);
  things::Form form;
  form.protocol = things::Protocol::kModbus;
  form.modbus.host = "10.0.0.7";
  pump.properties[0].forms = {form};
  registry_->Expect(snapshot, At(5));
  ASSERT_EQ(registry_->List().size(), 1U);
  EXPECT_EQ(registry_->List()[0].address, "10.0.0.7:502/1");
  EXPECT_EQ(registry_->List()[0].state, DeviceState::kNever);
  registry_->Expect(things::Snapshot(), At(6));
  EXPECT_TRUE(registry_->List().empty());
  registry_->OnConnected("pump-7", "modbus", "10.0.0.7:502/1", At(7));
  registry_->Expect(things::Snapshot(), At(8));
  EXPECT_EQ(registry_->List().size(), 1U);  // What was heard of stays.
}

TEST_F(DeviceRegistryTest, ChangesThatCouldNotBeWrittenWait) {
  registry_->OnConnected("x", "mqtt", "a", At(1));
  ASSERT_TRUE(records_->Run("ALTER TABLE device_changes RENAME TO gone"));
  EXPECT_FALSE(registry_->Flush());
  ASSERT_TRUE(records_->Run("ALTER TABLE gone RENAME TO device_changes"));
  ASSERT_TRUE(registry_->Flush());
  EXPECT_EQ(registry_->Changes("x")->size(), 1U);
}

}  // namespace
}  // namespace penstock::fleet
