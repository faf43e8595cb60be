package runner

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// pipes are the three of a child: the ends it gets and ours.
type pipes struct {
	script, childIn  *os.File
	out, childOut    *os.File
	errors, childErr *os.File
}

func newPipes(script int) (p pipes, err error) {
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.childIn, p.script, err = os.Pipe(); err != nil {
		return p, err
	}
	if p.out, p.childOut, err = os.Pipe(); err != nil {
		return p, err
	}
	if p.errors, p.childErr, err = os.Pipe(); err != nil {
		return p, err
	}
	return p, holdAll(p.script, script)
}

// holdAll makes the pipe take n bytes at once, or says why it can not.
func holdAll(pipe *os.File, n int) error {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return err
	}
	var size int
	var sizeErr error
	err = raw.Control(func(fd uintptr) {
		// With many pipes open an unprivileged user gets small ones (pipe(7), pipe-user-pages-soft).
		if size, sizeErr = unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0); sizeErr == nil && size < n {
			size, sizeErr = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, n)
		}
	})
	if err = errors.Join(err, sizeErr); err != nil {
		return fmt.Errorf("make a pipe for a script of %d bytes: %w (raise fs.pipe-max-size or fs.pipe-user-pages-soft)", n, err)
	}
	return nil
}

// closeChild closes the child's ends, which it has of its own by then.
func (p pipes) closeChild() { closeAll(p.childIn, p.childOut, p.childErr) }

func (p pipes) close() {
	p.closeChild()
	closeAll(p.script, p.out, p.errors)
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close() // nil is fine
	}
}
