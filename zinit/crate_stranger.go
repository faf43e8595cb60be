package zinit

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// stranger tells that a process is none of a service's: zinit has lost sight of that one, and the kernel has given its
// number to another, which zinit would signal in its place. What runs for a service is a child of zinit's, or carries
// the mark that the service's file gives it; of a service without one nobody can tell.
func (z crate) stranger(name string, pid int) (bool, error) {
	server := z.l.conn.server()
	if server == 0 || lineage(pid)[server] {
		return false, nil
	}
	f, err := z.config(name)
	if err != nil {
		return false, ignoring(err, ServiceNotFound)
	}
	mark := f.Service.Env[markVar]
	_, environ, _ := EnvironOf(pid)
	if mark == "" || len(environ) == 0 { // the last: it may be in the middle of an exec
		return false, nil
	}
	m, ok := carried(environ)
	return !ok || m.mark != mark, nil
}

// server is the process that listens; 0 where that can not be told.
func (k *conn) server() int {
	if k == nil {
		return 0
	}
	sc, ok := k.net.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(peer.Pid)
		}
	})
	return pid
}
