// Sends notifications to other people's servers: one thread, one request at a time, a bounded queue
// (full: the oldest waiting one is dropped and counted). A failed request is tried three times.
#pragma once

#include <string>
#include <thread>

#include "base/bounded_queue.h"
#include "base/json.h"

namespace penstock::api {

class Webhooks {
 public:
  Webhooks();
  ~Webhooks();
  // POSTs the body as JSON. Returns at once.
  void Send(const std::string& url, const Json& body);

 private:
  struct Message {
    std::string url, body;
  };
  void Run(const std::stop_token& stop);
  BoundedQueue<Message> queue_{256};
  std::jthread thread_;
};

}  // namespace penstock::api
