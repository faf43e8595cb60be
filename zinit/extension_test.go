package zinit

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func extension() *rapid.Generator[Extension] {
	durations := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 1500 * time.Millisecond, time.Hour})
	return rapid.Custom(func(t *rapid.T) Extension {
		e := Extension{
			User:    rapid.SampledFrom([]string{"", "0", "nobody", "a'b \"c", "null", "true", "1e3", "0x10", "~"}).Draw(t, "user"),
			Group:   rapid.SampledFrom([]string{"", "12", "# group: x"}).Draw(t, "group"),
			Rlimits: rapid.MapOfN(rapid.SampledFrom([]string{"nofile", "core"}), rapid.SampledFrom([]uint64{0, 1024, Unlimited}), 0, 2).Draw(t, "rlimits"),
			Memory:  rapid.SampledFrom([]uint64{0, 1, 1 << 40}).Draw(t, "memory"),
			CPU:     rapid.SampledFrom([]float64{0, 0.01, 1.5, 128}).Draw(t, "cpu"),
			Restart: Restart{
				Delay: time.Millisecond, MaxDelay: durations.Draw(t, "max delay"), Healthy: durations.Draw(t, "healthy"),
				MaxExits: rapid.IntRange(0, 9).Draw(t, "exits"), Within: durations.Draw(t, "within"),
			},
			StopTimeout: durations.Draw(t, "stop"),
			LogFile:     rapid.SampledFrom([]LogFile{{}, {Path: "/a: b"}, {Path: "/x", MaxSize: 1 << 20, Keep: 3}}).Draw(t, "log file"),
			SHA256:      rapid.SampledFrom([]string{"", strings.Repeat("0", 64), "12" + strings.Repeat("e", 62)}).Draw(t, "sha256"),
		}
		if rapid.Bool().Draw(t, "masked") {
			e.Umask = new(rapid.SampledFrom([]uint32{0, 0o27, 0o777}).Draw(t, "umask"))
		}
		return e
	})
}

// As people write the keys, with quotes and without.
func TestParseExtension(t *testing.T) {
	got, err := ParseFile([]byte(`
exec: sleep 1
user: nobody # a comment
group: 65534
umask: 0027
rlimits: {nofile: 1024, core: "unlimited", as: 2G}
memory_max: 512M
cpu_max: 1.5
restart: {delay: 10ms, max_delay: 1s, max_exits: 3, within: 10s}
stop_timeout: 1.5s
log_file:
  path: '/var/log/it''s.log'
  max_size: 1048576
  keep: 2
sha256: 0000000000000000000000000000000000000000000000000000000000000000
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Service{Exec: []string{"sleep", "1"}, Extension: Extension{
		User: "nobody", Group: "65534", Umask: new(uint32(0o27)),
		Rlimits: map[string]uint64{"nofile": 1024, "core": Unlimited, "as": 2 << 30},
		Memory:  512 << 20, CPU: 1.5,
		Restart:     Restart{Delay: 10 * time.Millisecond, MaxDelay: time.Second, MaxExits: 3, Within: 10 * time.Second},
		StopTimeout: 1500 * time.Millisecond,
		LogFile:     LogFile{Path: "/var/log/it's.log", MaxSize: 1 << 20, Keep: 2},
		SHA256:      strings.Repeat("0", 64),
	}}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatal(d)
	}
}

// A bad value is refused by its key, in one line, with what would be right.
func TestExtensionRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"umask: 0999":                         "umask: got \"0999\", want octal",
		"umask: 01777":                        "umask: got 01777, want at most 0777",
		"rlimits: {files: 3}":                 "want one of as core",
		"rlimits: {nofile: many}":             "rlimits.nofile: got \"many\"",
		"rlimits: {nofile: -1}":               "rlimits.nofile: got \"-1\"",
		"memory_max: 1.5G":                    "memory_max: got \"1.5G\", want bytes",
		"memory_max: 99999999999T":            "memory_max: got",
		"cpu_max: 0":                          "cpu_max: got \"0\", want a number of processors",
		"cpu_max: NaN":                        "cpu_max: got",
		"cpu_max: 0.001":                      "cpu_max: got 0.001, want processors from",
		"restart: {delay: 5}":                 "restart.delay: got \"5\", want a duration",
		"restart: {delay: 2s, max_delay: 1s}": "want at most max_delay",
		"restart: {max_exits: -1}":            "restart.max_exits: got -1",
		"restart: {within: 48h}":              "restart.within: got 48h0m0s, want up to",
		"stop_timeout: -1s":                   "stop_timeout: got \"-1s\"",
		"log_file: {path: x.log}":             "want an absolute path",
		"log_file: {keep: 3}":                 "want an absolute path",
		"log_file: {path: /x, max_size: 1}":   "at least 1024 bytes",
		"log_file: {path: /x, keep: 5000}":    "log_file.keep: got 5000",
		"sha256: abc":                         "want 64 hex digits",
		"user: [a]":                           "want a text or a number",
	} {
		_, err := ParseFile([]byte("exec: sleep 1\n" + text + "\n"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line with ...%s...", text, err, want)
		}
	}
}
