package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"herosup/zinit"
)

// place is `herosup zinit init` somewhere, with one service that leaves orphans.
type place struct {
	t      *testing.T
	dir    string
	cmd    *exec.Cmd
	z      *zinit.Client
	exited chan error
}

// newPlace has a program that anybody may run, a folder of services, and no server
// yet. uid owns the folder.
func newPlace(t *testing.T, uid int) (p *place, words []string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hz") // sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, services := filepath.Join(dir, "herosup-copy"), filepath.Join(dir, "services") // see TestMain
	copyProgram(t, program)
	service := fmt.Sprintf("exec: sh -c '(echo >%s & exec true); exec sleep 1000'\n", filepath.Join(dir, "orphan"))
	for _, err := range []error{
		os.Mkdir(services, 0o755),
		os.WriteFile(filepath.Join(services, "web.yaml"), []byte(service), 0o644),
		os.Chmod(dir, 0o755),
		os.Chown(dir, uid, -1), os.Chown(services, uid, -1),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p = &place{t: t, dir: dir, exited: make(chan error, 1)}
	return p, []string{program, "zinit", "init", "--config", services, "--socket", filepath.Join(dir, "z.sock")}
}

// copyProgram has another process write the copy: what is open for writing in this one
// would be in the children of others for a moment, and could not be executed.
func copyProgram(t *testing.T, to string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"cp", exe, to}, {"chmod", "755", to}} {
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", words, err, out)
		}
	}
}

// start runs the server and returns the status of its service, once that runs. ok
// is false where the machine does not let us.
func (p *place) start(attr *syscall.SysProcAttr, argv ...string) (zinit.Status, bool) {
	p.t.Helper()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.SysProcAttr, p.cmd.Dir = attr, "/"
	log := &strings.Builder{}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		p.t.Logf("NO RIGHTS: %v", err)
		return zinit.Status{}, false
	}
	go func() { p.exited <- p.cmd.Wait() }()
	p.t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			if err := <-p.exited; err == nil {
				p.t.Error("killed, and ended well")
			}
		}
	})
	p.z = zinit.NewClient(filepath.Join(p.dir, "z.sock"), zinit.Options{})
	p.t.Cleanup(p.z.Close)
	for end := time.Now().Add(20 * time.Second); ; {
		s, err := p.z.Status(p.t.Context(), "web")
		if err == nil && s.State.Kind == zinit.Running {
			return s, true
		}
		select {
		case err := <-p.exited:
			p.exited <- err
			if strings.Contains(log.String(), "mount") {
				p.t.Logf("NO RIGHTS: %s", log)
				return zinit.Status{}, false
			}
			p.t.Fatalf("it ended: %v\n%s", err, log)
		case <-time.After(10 * time.Millisecond): // it is another process
		}
		if time.Now().After(end) {
			p.t.Fatalf("web does not run: %+v, %v", s, err)
		}
	}
}

// end has the server end by a signal, as an engine of containers does, and well.
func (p *place) end() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	select {
	case err := <-p.exited:
		p.exited <- err
		if err != nil {
			p.t.Errorf("it ended with %v", err)
		}
	case <-ctx.Done():
		p.t.Fatal("it did not end")
	}
	if _, err := os.Stat(filepath.Join(p.dir, "z.sock")); !os.IsNotExist(err) {
		p.t.Errorf("the socket is left: %v", err)
	}
}

// zombies of a process.
func zombies(pid int) (n int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range strings.Fields(string(b)) {
		stat, _ := os.ReadFile("/proc/" + child + "/stat")
		if strings.Contains(string(stat), ") Z ") {
			n++
		}
	}
	return n
}

// As the first process of a container: it is PID 1, its services' orphans are its own
// and are reaped, and TERM ends all of it in order.
func TestZinitInitAsPID1(t *testing.T) {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	p, words := newPlace(t, -1)
	script := `mount --make-rprivate / && mount -t proc proc /proc && exec "$@"`
	s, ok := p.start(attr, append([]string{"/bin/sh", "-c", script, "sh"}, words...)...)
	if !ok {
		t.Skip("NO RIGHTS: no PID namespace to be had")
	}
	// The PID is of the namespace, which is a new one.
	if s.PID < 2 || s.PID > 100 {
		t.Errorf("web has PID %d there", s.PID)
	}
	there := func() bool { _, err := os.Stat(filepath.Join(p.dir, "orphan")); return err == nil }
	for end := time.Now().Add(20 * time.Second); !there() || zombies(p.cmd.Process.Pid) > 0; {
		if time.Now().After(end) {
			t.Fatalf("orphan was there: %t, zombies: %d", there(), zombies(p.cmd.Process.Pid))
		}
		<-time.After(10 * time.Millisecond) // they are of another process
	}
	for _, err := range []error{p.z.Stop(t.Context(), "web"), p.z.Start(t.Context(), "web")} {
		if err != nil {
			t.Error(err)
		}
	}
	p.end()
}

// As root and as a user without any right.
func TestZinitInitAsAUser(t *testing.T) {
	const nobody = 65534
	users := map[string]*syscall.SysProcAttr{"this one": nil}
	if os.Geteuid() == 0 {
		users["nobody"] = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	for name, attr := range users {
		t.Run(name, func(t *testing.T) {
			uid := os.Geteuid()
			if attr != nil {
				uid = nobody
			}
			p, words := newPlace(t, uid)
			s, ok := p.start(attr, words...)
			if !ok {
				t.Fatal("not started")
			}
			fi, err := os.Stat(fmt.Sprintf("/proc/%d", s.PID))
			if err != nil {
				t.Fatal(err)
			}
			if got := int(fi.Sys().(*syscall.Stat_t).Uid); got != uid {
				t.Errorf("web runs as %d, want %d", got, uid)
			}
			if err := p.z.Stop(t.Context(), "web"); err != nil {
				t.Error(err)
			}
			p.end()
		})
	}
}
