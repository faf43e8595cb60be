package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"herosup/cmd/internal/demo"
)

// Jobs that nobody waited for are not said to be lost.
func TestDemoThatIsInterrupted(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "demo", "-o", "json")
	cmd.Args[0] = "herosup-demo" // see TestMain
	var out strings.Builder
	cmd.Stdout = &out
	story, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var told []string
	for lines := bufio.NewScanner(story); lines.Scan(); {
		told = append(told, lines.Text())
		if strings.Contains(lines.Text(), "submitting the first job") {
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Errorf("%v\n%s", err, strings.Join(told, "\n"))
	}
	var s demo.Summary
	if err := json.Unmarshal([]byte(out.String()), &s); err != nil || s.Lost != 0 || s.Finished+s.Unfinished != s.Submitted {
		t.Errorf("%+v, %v", s, err)
	}
}
