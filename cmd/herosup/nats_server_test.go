package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// natsServer is the main of a nats-server as one would run it oneself.
func natsServer() {
	opts, err := server.ConfigureOptions(flag.NewFlagSet("nats-server", flag.ContinueOnError), os.Args[1:], nil, nil, nil)
	if err == nil {
		var s *server.Server
		if s, err = server.NewServer(opts); err == nil {
			s.Start()
			s.WaitForShutdown()
			return
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// ownNATS is a nats-server of one's own, in a process of its own.
type ownNATS struct {
	t    testing.TB
	dir  string
	port int
	cmd  *exec.Cmd
}

const (
	natsUser     = "herosup"
	natsPassword = "s3cret"
)

func startNATS(t testing.TB) *ownNATS {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &ownNATS{t: t, dir: t.TempDir(), port: ln.Addr().(*net.TCPAddr).Port} //nolint:forcetypeassert // TCP it is
	_ = ln.Close()
	t.Cleanup(func() { n.kill() })
	n.start()
	return n
}

func (n *ownNATS) url() string {
	return fmt.Sprintf("nats://%s:%s@127.0.0.1:%d", natsUser, natsPassword, n.port)
}

// start returns when it serves JetStream.
func (n *ownNATS) start() {
	n.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	n.cmd = exec.Command(exe, "--addr", "127.0.0.1", "--port", strconv.Itoa(n.port), "--jetstream",
		"--store_dir", filepath.Join(n.dir, "js"), "--user", natsUser, "--pass", natsPassword)
	n.cmd.Args[0] = "nats-server" // see TestMain
	out, err := os.OpenFile(filepath.Join(n.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	defer out.Close()
	n.cmd.Stdout, n.cmd.Stderr = out, out
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; <-time.After(2 * time.Millisecond) { // it is another process
		nc, err := nats.Connect(n.url(), nats.Timeout(time.Second))
		if err == nil {
			js, _ := nc.JetStream()
			_, err = js.AccountInfo()
			nc.Close()
		}
		if err == nil {
			return
		}
		if time.Now().After(end) {
			n.t.Fatalf("the nats-server is not up after 10 s: %v", err)
		}
	}
}

// kill ends it without a word.
func (n *ownNATS) kill() {
	_ = n.cmd.Process.Kill()
	_, _ = n.cmd.Process.Wait()
}
