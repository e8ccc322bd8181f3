// The doubles of the protocols room's unit tests (sink, quarantine, device book), for the tests
// against foreign implementations in this folder.
#include "protocols/driver/test_doubles_test.cc"
