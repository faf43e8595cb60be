package zinittest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// Child is a service whose process is this test binary doing what the words
// say, one of:
//
//	say TEXT...         print each text as a line, then wait
//	args ...            print all arguments and the environment as JSON (Report), then wait
//	exit CODE           end at once
//	ignore SIGNAL       ignore a signal, say "ready", then wait
//	fork                start a child in the same group, print its PID, then wait
//	escape              start a child in a session of its own, print its PID, then wait
//	escape-exit         the same, and end
//	leave-group [TERM]  go over to the group of a child (at TERM, if so), say "ready", then wait
//	close               close its input and outputs, then wait
//	reexec N            replace itself N times, then wait
//	freeze              stop itself (SIGSTOP)
//	hydra               at TERM leave three children in sessions of their own, and end
//	deaf-family         ignore TERM, as does a child in a session of its own
//	deep                leave a child that leaves one that leaves one, and end
//	orphan              leave a child that ends by itself, say "ready", then wait
//	flood               write to standard output as fast as it goes
//	bytes               write what is no UTF-8, and a very long line, then wait
//	chatter FILE        each 10 ms write a line, and then a byte to the end of FILE
//	pour FILE [TEXT]    write 64 KiB of lines, and then a byte to the end of FILE, for ever
//	count               each 10 ms write the next number
//	stamp FILE          write the time into FILE, then wait
//	spin                use as much of a processor as there is
//	headless            end the first thread, say "headless" when the kernel shows that, and go on with the others
//	eat MIB             say "ready", take that much memory, say "full", then wait
//
// "Wait" is until a signal ends it.
func Child(t testing.TB, words ...string) zinit.Service {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return zinit.Service{
		Exec: append([]string{exe}, words...),
		Env:  map[string]string{roleVar: roleChild},
	}
}

// Report is what the child "args" prints.
type Report struct {
	Args []string
	Env  []string
	Dir  string
	PID  int
}

// OnceVar names a file in the environment of a child: its main process locks it
// for its life, and writes into it if another one has.
const OnceVar = "ZINITTEST_ONCE"

// beOnly takes the lock of OnceVar. What this process starts does not ask.
func beOnly() {
	path := os.Getenv(OnceVar)
	if path == "" {
		return
	}
	_ = os.Unsetenv(OnceVar)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		_, _ = fmt.Fprintf(f, "%d ran beside another\n", os.Getpid())
	}
	only = f
}

var only *os.File //nolint:unused // it keeps the lock's file open for the process' life

func beChild(words []string) int {
	if len(words) == 0 {
		return 2
	}
	beOnly()
	switch words[0] {
	case "say":
		_, _ = fmt.Fprintln(os.Stdout, strings.Join(words[1:], "\n"))
	case "args":
		dir, _ := os.Getwd()
		_ = json.NewEncoder(os.Stdout).Encode(Report{Args: words, Env: os.Environ(), Dir: dir, PID: os.Getpid()})
	case "exit":
		var code int
		_, _ = fmt.Sscan(words[1], &code)
		return code
	case "ignore":
		if sig, err := zinit.ParseSignal(words[1]); err == nil {
			signal.Ignore(sig)
		}
		_, _ = fmt.Fprintln(os.Stdout, "ready")
	case "fork":
		_, _ = fmt.Fprintln(os.Stdout, startAnother(&syscall.SysProcAttr{}, "say", "forked"))
	case "escape", "escape-exit":
		_, _ = fmt.Fprintln(os.Stdout, startAnother(&syscall.SysProcAttr{Setsid: true}, "say", "escaped"))
		if words[0] == "escape-exit" {
			return 0
		}
	case "leave-group":
		if len(words) > 1 {
			terms := make(chan os.Signal, 1)
			signal.Notify(terms, syscall.SIGTERM)
			_, _ = fmt.Fprintln(os.Stdout, "ready")
			<-terms
		}
		_ = unix.Setpgid(0, startAnother(&syscall.SysProcAttr{Setpgid: true}, "say", "left"))
		_, _ = fmt.Fprintln(os.Stdout, "ready")
	case "close":
		for fd := range 3 {
			_ = unix.Close(fd)
		}
	case "reexec":
		var n int
		_, _ = fmt.Sscan(words[1], &n)
		if exe, err := os.Executable(); err == nil && n > 0 {
			_ = unix.Exec(exe, []string{exe, "reexec", fmt.Sprint(n - 1)}, os.Environ())
		}
	case "freeze":
		_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
	case "hydra":
		terms := make(chan os.Signal, 1)
		signal.Notify(terms, syscall.SIGTERM)
		<-terms
		for range 3 {
			startAnother(&syscall.SysProcAttr{Setsid: true}, "say")
		}
		return 0
	case "deaf-family":
		signal.Ignore(syscall.SIGTERM)
		startAnother(&syscall.SysProcAttr{Setsid: true}, "ignore", "SIGTERM")
	case "deep":
		startAnother(&syscall.SysProcAttr{Setsid: true}, "escape-exit")
		return 0
	case "orphan":
		// Its own child ends as soon as its parent, the one between, has.
		startAnother(&syscall.SysProcAttr{}, "between")
		_, _ = fmt.Fprintln(os.Stdout, "ready")
	case "between":
		startAnother(&syscall.SysProcAttr{Setsid: true}, "exit", "0")
		return 0
	case "flood":
		line := []byte(strings.Repeat("flood\n", 1000))
		for {
			if _, err := os.Stdout.Write(line); err != nil {
				return 1
			}
		}
	case "bytes":
		_, _ = os.Stdout.Write([]byte("a\xff\xfeb\n" + strings.Repeat("x", 100_000) + "\nend\n"))
	case "chatter":
		for range time.Tick(10 * time.Millisecond) {
			if _, err := fmt.Fprintln(os.Stdout, "still here"); err != nil {
				return 1
			}
			if mark(words[1]) != nil {
				return 1
			}
		}
	case "pour":
		text := "pour it all out\n"
		if len(words) > 2 {
			text = words[2] + "\n"
		}
		lines := []byte(strings.Repeat(text, (64<<10)/len(text)))
		for {
			if _, err := os.Stdout.Write(lines); err != nil || mark(words[1]) != nil {
				return 1
			}
		}
	case "count":
		n := 0
		for range time.Tick(10 * time.Millisecond) {
			if _, err := fmt.Fprintln(os.Stdout, n); err != nil {
				return 1
			}
			n++
		}
	case "stamp":
		_ = os.WriteFile(words[1], []byte(fmt.Sprint(time.Now().UnixNano())), 0o600)
	case "spin":
		for { //nolint:staticcheck // that is all of it
		}
	case "headless":
		headless()
	case "eat":
		var n int
		_, _ = fmt.Sscan(words[1], &n)
		_, _ = fmt.Fprintln(os.Stdout, "ready")
		eaten = make([]byte, n<<20)
		for i := 0; i < len(eaten); i += os.Getpagesize() {
			eaten[i] = 1
		}
		_, _ = fmt.Fprintln(os.Stdout, "full")
	default:
		return 2
	}
	for {
		_ = unix.Pause() // a signal ends it
	}
}

// eaten is what "eat" takes: used, or the compiler would leave it out.
var eaten []byte

// mark puts a byte to the end of a file.
func mark(file string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(".")
	return errors.Join(err, f.Close())
}

// startAnother starts this binary as another child and returns its PID.
func startAnother(attr *syscall.SysProcAttr, words ...string) int {
	exe, err := os.Executable()
	if err != nil {
		return 0
	}
	cmd := exec.Command(exe, words...)
	cmd.SysProcAttr = attr
	cmd.Stdout = os.Stdout
	if cmd.Start() != nil {
		return 0
	}
	go func() { _ = cmd.Wait() }()
	return cmd.Process.Pid
}
