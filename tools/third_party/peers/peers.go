//go:build peers

// Package peers names the Go programs that benchmarks run beside Penstock, so that go.mod and go.sum pin
// their versions and checksums. tools/setup bench builds them into third_party/bin.
package peers

import _ "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics"
