// From a request to its answer: who asks, may they, which route, which file of the console.
#pragma once

#include "api/http.h"
#include "api/router.h"
#include "trust/device_certificates.h"
#include "trust/users.h"

namespace penstock::api {

class App {
 public:
  // `router` and `users` must outlive the app. `secure`: behind TLS, cookies carry the __Host-
  // prefix and Secure.
  // `devices`: who comes in by certificate; null: nobody does.
  App(const Router& router, trust::Users& users, bool secure,
      const trust::DeviceCertificates* devices = nullptr)
      : router_(router), users_(users), devices_(devices), secure_(secure) {}

  void Handle(Request request, const Responder& respond) const;

  std::string CookieName() const { return secure_ ? "__Host-penstock" : "penstock"; }
  // Set-Cookie for a new session; "" ends it.
  std::string SetCookie(const std::string& session) const;

 private:
  // Who asks: bearer token, else session cookie, else the certificate of the connection. A write by
  // cookie needs the CSRF header.
  Status Authenticate(Request& request) const;
  Response Dispatch(const Route& route, const Request& request) const;
  const Router& router_;
  trust::Users& users_;
  const trust::DeviceCertificates* devices_;
  const bool secure_;
};

// The console's file for a path; index.html for a page of the console; 404 for a missing file.
Response ConsoleFile(const Request& request);

}  // namespace penstock::api
