package actor

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// server is one Redis for a test, which can end and come back with what it had.
type server struct {
	url  string
	stop func()
	back func()
}

// eachServer runs a test on a real Redis and on miniredis.
func eachServer(t *testing.T, f func(t *testing.T, srv server)) {
	t.Helper()
	t.Parallel()
	t.Run("real", func(t *testing.T) { t.Parallel(); f(t, realServer(t)) })
	t.Run("mini", func(t *testing.T) { t.Parallel(); f(t, miniServer(t)) })
}

func miniServer(t *testing.T) server {
	t.Helper()
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	p := newProxy(t, "tcp", m.Addr())
	return server{url: "unix://" + p.path, stop: p.stop, back: p.back}
}

func realServer(t testing.TB, more ...string) server {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not on PATH: not tested on a real Redis")
	}
	dir, err := os.MkdirTemp("", "hs") // short: a socket's path has 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(dir, "r.sock")
	var cmd *exec.Cmd
	start := func() {
		cmd = exec.Command(bin, append([]string{
			"--port", "0", "--unixsocket", sock, "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "no", // written before each answer: enough for a killed process
		}, more...)...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, said := bufio.NewReader(out), ""
		for !strings.Contains(said, "eady to accept connections") {
			line, err := lines.ReadString('\n')
			said += line
			if err != nil {
				t.Fatalf("redis-server ended: %s", said)
			}
		}
		go func() { _, _ = io.Copy(io.Discard, lines) }() // ends with the process; stop waits for that
	}
	stop := func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	start()
	t.Cleanup(func() { stop(); _ = os.RemoveAll(dir) })
	return server{url: "unix://" + sock, stop: stop, back: start}
}
