package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"herosup/events"
)

const (
	// MaxScript bounds a script in bytes: what a pipe holds under the kernel's default limit
	// (fs.pipe-max-size), and the limit of a submission.
	MaxScript = 1 << 20
	// DefaultOutput is the part of the standard output that is kept, in bytes.
	DefaultOutput = 256 << 10
	// ErrorTail is the part of the standard error that is kept, in bytes, from its end.
	ErrorTail = 64 << 10
	// DefaultGrace is the time between TERM and KILL.
	DefaultGrace = 5 * time.Second

	emptyWait = 2 * time.Second        // for the group to be empty after KILL; longer is a stuck kernel
	pipeWait  = 250 * time.Millisecond // for the pipes' end after that; longer is an escapee that holds them
)

// ErrNoInterpreter says that the interpreter is not there (any more): no script can be run, and this one was not.
var ErrNoInterpreter = errors.New("the interpreter is not there")

// ErrEmptyScript says that there was nothing to run.
var ErrEmptyScript = errors.New("the script is empty")

// Spec is one run.
type Spec struct {
	// Interpreter is the command and its arguments; it reads the script from its standard input, or from a file if an
	// argument is "{script}" or "{script.EXT}". A name without a slash is looked up on the PATH of this process.
	Interpreter []string
	// Script is written as it is. 1 to MaxScript bytes.
	Script string
	// Env is added to the base environment (see BaseEnv) and wins over it.
	Env map[string]string
	// Constants are shown to a script whose language has no environment (Rhai), as constants: names are identifiers.
	Constants map[string]string
	// Dir is the working directory; "" is this process's.
	Dir string
	// Timeout ends the script with TERM (and CONT, for a stopped one), counted from its release; 0 is none. A
	// deadline of Run's context does the same.
	Timeout time.Duration
	// Grace is the time from TERM to KILL; 0 is DefaultGrace, less than 0 is none.
	Grace time.Duration
	// OutputLimit bounds the bytes of output that are kept: the first and the last half. 0 is DefaultOutput.
	OutputLimit int
	// Log gets an output that is over OutputLimit, each of its lines behind LogPrefix: the first 2 MiB of it, while it is
	// written. A log that takes nothing holds up the end by a second at most. nil, or one that fails CheckLog: none does.
	Log       *os.File
	LogPrefix string
	// Record is called once, before the script's first instruction, with the process group and the identity of its
	// leader. An error keeps the script from running. It is not called for an interpreter that has ended by then. May be
	// nil. It has to end by itself; Run waits for it.
	Record func(pgid int, leader events.Incarnation) error
}

// Result is what became of a run.
type Result struct {
	// Output is the standard output: valid UTF-8 (each run of other bytes is replaced by U+FFFD, so it may be up to
	// twice OutputLimit), cut in the middle with a mark.
	Output string
	// ErrorText is the end of the standard error, likewise.
	ErrorText string
	// ExitCode is the leader's; -1 if a signal ended it or nothing ran. Of an interpreter that ends with 0 whatever the
	// script did (rhai-run): 1 if it told an error.
	ExitCode int
	// Signal is the name of the signal that ended the leader ("SIGKILL"), "" if none did.
	Signal string
	// TimedOut says that Timeout, or the context's deadline, passed before the end.
	TimedOut bool
	// Truncated says that Output is not all of it.
	Truncated bool
	// Ran says that the interpreter ran with the script, or ended by itself before it was given. Without it no
	// instruction of the script was executed.
	Ran bool
	// Err says why the script did not run or, with Ran, what cut it short: the cause of the context. Nil when the end
	// was its own or a Timeout's.
	Err error
	// Left says that somebody was still alive in the group emptyWait after its KILL.
	Left bool
}

// Finished reports whether the script ran to its end and that was good: exit code 0, nobody cut it short.
func (r Result) Finished() bool {
	return r.Ran && r.Err == nil && !r.TimedOut && r.ExitCode == 0
}

func (s Spec) check() error {
	switch {
	case len(s.Interpreter) == 0 || s.Interpreter[0] == "":
		return errors.New("no interpreter is named")
	case s.Script == "":
		return ErrEmptyScript
	case len(s.Script) > MaxScript:
		return fmt.Errorf("the script has %d bytes: at most %d are allowed; put the bulk into a file and let the script read it",
			len(s.Script), MaxScript)
	}
	for k, v := range s.Env {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.Contains(v, "\x00") {
			return fmt.Errorf("environment variable %q: a name is not empty and has no '=', and neither name nor value has a NUL", k)
		}
	}
	return nil
}

// noInterpreter is an error of the system's that means ErrNoInterpreter.
type noInterpreter struct{ error }

func (m noInterpreter) Is(target error) bool { return target == ErrNoInterpreter }
func (m noInterpreter) Unwrap() error        { return m.error }

// notStarted puts the sentence before what the system said.
func notStarted(s Spec, err error) error {
	hint := ""
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, ErrNoInterpreter) || errors.Is(err, fs.ErrNotExist) && !s.dirIsGone() {
		err, hint = noInterpreter{err}, "; install it, or name its full path as the pool's interpreter"
	}
	return fmt.Errorf("start interpreter %s: %w%s", s.Interpreter[0], err, hint)
}

// dirIsGone: without its working directory no program starts, and the system says the same.
func (s Spec) dirIsGone() bool {
	if s.Dir == "" {
		return false
	}
	_, err := os.Stat(s.Dir)
	return err != nil
}
