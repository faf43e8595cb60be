package zinit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Log says where a service's output goes.
type Log string

// The places that a zinit knows. The zero value is LogRing.
const (
	// LogRing keeps the latest lines of all services in zinit's memory.
	LogRing Log = "ring"
	// LogNone drops the output.
	LogNone Log = "none"
	// LogStdout passes zinit's own output on.
	LogStdout Log = "stdout"
)

// Bounds and defaults of a service.
const (
	// MaxNameLen is the longest service name in bytes: it becomes a file name,
	// with a suffix, and most file systems end those at 255.
	MaxNameLen = 200
	// DefaultShutdownTimeout is a zinit's own when the file names none.
	DefaultShutdownTimeout = 10 * time.Second
	// MaxShutdownTimeout keeps a typing error from becoming a stop that nobody
	// lives to see.
	MaxShutdownTimeout = 24 * time.Hour
	// NoGrace as ShutdownTimeout asks for no wait at all before KILL. (Zero is
	// the default, so that a Service that says nothing says what a file does
	// that says nothing.)
	NoGrace time.Duration = -1
)

// Service is what is to be kept running: a service file as a value.
type Service struct {
	// Exec is the program and its arguments, each exactly as the process is to
	// get it; nothing is expanded, by us or by zinit. A program without a slash
	// is looked up in PATH. Required.
	Exec []string
	// Test is a command that exits with 0 when the service is fit; it is
	// repeated until it does. None: the service is fit when it is started.
	Test []string
	// Oneshot runs once and is never started again by itself.
	Oneshot bool
	// After names the services that come first: a oneshot must have succeeded,
	// any other must be Running.
	After []string
	// Env is added to zinit's environment and wins over it.
	Env map[string]string
	// Dir is the working directory; "" is the root directory.
	Dir string
	// Log is where output goes; "" is LogRing.
	Log Log
	// StopSignal is what a stop begins with, as "SIGTERM"; "" is SIGTERM.
	StopSignal string
	// ShutdownTimeout is how long a stop waits before KILL: whole seconds, 0 for
	// DefaultShutdownTimeout, NoGrace for none. The original takes it for the
	// shutdown of everything only and kills after 0.5 s in a single stop; our
	// server takes it for both.
	ShutdownTimeout time.Duration

	Extension
}

// Validate says why a zinit could not run s as it stands, or nil.
func (s Service) Validate() error {
	if len(s.Exec) == 0 || s.Exec[0] == "" {
		return errors.New("exec: no program named")
	}
	for _, f := range []struct {
		name  string
		words []string
	}{{"exec", s.Exec}, {"test", s.Test}, {"dir", []string{s.Dir}}} {
		for _, w := range f.words {
			if err := checkWord(w); err != nil {
				return fmt.Errorf("%s %.60q: %w", f.name, w, err)
			}
		}
	}
	if len(s.Test) > 0 && s.Test[0] == "" {
		return errors.New("test: no program named")
	}
	for _, name := range s.After {
		if err := ValidName(name); err != nil {
			return fmt.Errorf("after: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		if err := checkEnv(name, s.Env[name]); err != nil {
			return fmt.Errorf("env %.60q: %w", name, err)
		}
	}
	switch s.Log {
	case "", LogRing, LogNone, LogStdout:
	default:
		return fmt.Errorf("log: got %.60q, want ring, none or stdout", s.Log)
	}
	if s.StopSignal != "" {
		if _, err := ParseSignal(s.StopSignal); err != nil {
			return fmt.Errorf("signal.stop: %w", err)
		}
	}
	if err := s.Extension.validate(); err != nil {
		return err
	}
	return checkTimeout(s.ShutdownTimeout)
}

// Grace is the time between the first signal of a stop and KILL.
func (s Service) Grace() time.Duration {
	switch s.ShutdownTimeout {
	case 0:
		return DefaultShutdownTimeout
	case NoGrace:
		return 0
	default:
		return s.ShutdownTimeout
	}
}

// StopGrace is Grace for a stop of this service alone.
func (s Service) StopGrace() time.Duration {
	if s.StopTimeout > 0 {
		return s.StopTimeout
	}
	return s.Grace()
}

// checkWord refuses what can not reach a process as an argument unchanged.
func checkWord(w string) error {
	switch {
	case strings.ContainsRune(w, 0):
		return errors.New("holds a NUL byte, which ends an argument")
	case strings.ContainsAny(w, "\n\r"):
		return errors.New("holds a line break, which a service file's command line can not carry")
	case !utf8.ValidString(w):
		return errors.New("is not valid UTF-8, which JSON can not carry")
	}
	return nil
}

// checkEnv is checkWord for a variable. A value may hold line breaks: it is
// never split into words.
func checkEnv(name, value string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case strings.ContainsAny(name, "=\n\r"):
		return errors.New("the name holds = or a line break")
	case strings.ContainsRune(name+value, 0):
		return errors.New("holds a NUL byte, which ends a variable")
	case !utf8.ValidString(name) || !utf8.ValidString(value):
		return errors.New("is not valid UTF-8, which JSON can not carry")
	}
	return nil
}

func checkTimeout(d time.Duration) error {
	switch {
	case d == NoGrace:
		return nil
	case d < 0 || d > MaxShutdownTimeout:
		return fmt.Errorf("shutdown timeout: got %v, want 1s to %v", d, MaxShutdownTimeout)
	case d%time.Second != 0:
		return fmt.Errorf("shutdown timeout: got %v, want whole seconds", d)
	}
	return nil
}

// ValidName says why name can not name a service, or nil. The name becomes a
// file's, and zinit refuses / \ and . in it.
func ValidName(name string) error {
	switch {
	case name == "":
		return errors.New("service name is empty")
	case len(name) > MaxNameLen:
		return fmt.Errorf("service name %.30q... is longer than %d bytes", name, MaxNameLen)
	case strings.ContainsAny(name, `/\.`):
		return fmt.Errorf(`service name %q holds one of / \ .`, name)
	case !utf8.ValidString(name):
		return fmt.Errorf("service name %q is not valid UTF-8", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("service name %q holds a control character", name)
	}
	return nil
}

// ParseSignal reads a signal's name as zinit takes it: with its SIG, in any
// case. Numbers are refused.
func ParseSignal(name string) (syscall.Signal, error) {
	if sig := unix.SignalNum(strings.ToUpper(name)); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("signal %.40q: not a name like SIGTERM", name)
}
