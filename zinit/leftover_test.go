package zinit_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"herosup/events"
	"herosup/zinit"
	"herosup/zinit/zinittest"
)

// stray is a process that no zinit knows, with the mark of a service ("": none).
func stray(t *testing.T, mark string, argv ...string) events.Incarnation {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if mark != "" {
		cmd.Env = append(cmd.Environ(), "HEROSUP_SERVICE="+mark, "HEROSUP_STOP_TIMEOUT=300ms")
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		select {
		case <-ended:
		default:
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what a shell has started goes with it
			<-ended
		}
	})
	life, err := events.IncarnationOf(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return life
}

// headless is a stray whose first thread has ended: the kernel shows it as a zombie without an environment.
func headless(t *testing.T, mark string) events.Incarnation {
	t.Helper()
	svc := zinittest.Child(t, "headless")
	argv := []string{"env"}
	for name, value := range svc.Env {
		argv = append(argv, name+"="+value)
	}
	life := stray(t, mark, append(argv, svc.Exec...)...)
	zinittest.Eventually(t, "the end of its first thread", func() error {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", life.PID))
		if err == nil && !strings.Contains(string(b), ") Z ") {
			err = fmt.Errorf("it is %.60s", b)
		}
		return err
	})
	return life
}

// What carries our mark is ended, whether it hears TERM or not, and nothing else is.
func TestEndLeftovers(t *testing.T) {
	const ours = "herosup-0badcafe-"
	folder := t.TempDir()
	mark := func(actor string) string { return zinit.Marked(ours+actor, folder) }
	deaf := filepath.Join(t.TempDir(), "deaf")
	ending := map[string]events.Incarnation{
		"polite":   stray(t, mark("work_1"), "sleep", "1000"),
		"deaf":     stray(t, mark("work_1"), "sh", "-c", "trap '' TERM; touch "+deaf+"; while true; do sleep 0.1; done"),
		"another":  stray(t, mark("other_2"), "sleep", "1000"),
		"headless": headless(t, mark("work_3")),
	}
	kill(t, ending["another"].PID, syscall.SIGSTOP)
	zinittest.Eventually(t, "it is deaf", func() error { _, err := os.Stat(deaf); return err })
	staying := map[string]events.Incarnation{
		"unmarked":            stray(t, "", "sleep", "1000"),
		"another Herosup's":   stray(t, zinit.Marked("herosup-11111111-work_1", folder), "sleep", "1000"),
		"one of a copy":       stray(t, zinit.Marked(ours+"work_1", "/copy"), "sleep", "1000"),
		"one that begins so":  stray(t, zinit.Marked("herosup-0badcafe", folder), "sleep", "1000"),
		"one with it in args": stray(t, "", "sh", "-c", "sleep 1000; HEROSUP_SERVICE="+mark("work_1")),
	}
	began := time.Now()
	soon, cancel := context.WithTimeout(t.Context(), zinit.DefaultShutdownTimeout/2) // they carry less
	defer cancel()
	ended, err := zinit.EndLeftovers(soon, folder, func(service string) bool { return strings.HasPrefix(service, ours) })
	if err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("after %s: who is deaf had no grace", took)
	}
	for name, life := range ending {
		told := slices.ContainsFunc(ended, func(l zinit.Leftover) bool { return l.Process == life && strings.HasPrefix(l.Service, ours) })
		if life.Alive() || !told {
			t.Errorf("%s lives, or is not told: %+v", name, ended)
		}
	}
	for name, life := range staying {
		if !life.Alive() {
			t.Errorf("%s was ended", name)
		}
	}
}

// An executor that begins ends what lives beside the process that zinit has, if it began
// before that one: what the actor itself has started stays.
func TestExecutorEndsEarlierLives(t *testing.T) {
	b := newBed(t)
	mark := zinit.Marked(prefix+actor, b.folder())
	earlier, another := stray(t, mark, "sleep", "1000"), stray(t, zinit.Marked(prefix+"work_7", b.folder()), "sleep", "1000")
	<-time.After(30 * time.Millisecond) // begins are told apart by the kernel's ticks
	svc := zinittest.Child(t, "escape")
	svc.Env["HEROSUP_SERVICE"] = mark
	b.takeUp(prefix+actor, svc)
	zinittest.Eventually(t, "its child", func() error {
		lines, err := b.client.CurrentLogs(t.Context(), prefix+actor)
		if len(lines) < 2 {
			return fmt.Errorf("has said %q, %w", lines, err)
		}
		return err
	})
	later := stray(t, mark, "sleep", "1000")
	b.execute(withChild(t, "escape"))
	life := expect[events.ProcessObserved](b).Incarnation
	zinittest.Eventually(t, "the end of the earlier one", func() error {
		if earlier.Alive() {
			return fmt.Errorf("it lives")
		}
		return nil
	})
	b.quiet()
	for what, life := range map[string]events.Incarnation{"the actor": life, "what it has started": later, "one that zinit has not": another} {
		if !life.Alive() {
			t.Errorf("%s was ended", what)
		}
	}
}

// An actor carries how long its stop waits, for who ends it without its zinit.
func TestExecutorMarksWithTheGrace(t *testing.T) {
	b := newExecutorBed(t)
	b.up()
	s, err := b.client.Get(t.Context(), prefix+actor)
	if got := s.Env["HEROSUP_STOP_TIMEOUT"]; err != nil || got != "1s" {
		t.Errorf("got %q, %v", got, err)
	}
	if env := zinit.Unmarked([]string{"HEROSUP_SERVICE=x", "HEROSUP_STOP_TIMEOUT=1s", "A=b"}); !slices.Equal(env, []string{"A=b"}) {
		t.Errorf("unmarked: %q", env)
	}
}
