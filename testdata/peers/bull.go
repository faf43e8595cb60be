package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed bullmq/package.json bullmq/package-lock.json bullmq/peer.mjs
var bullFiles embed.FS

// installBull puts BullMQ and our program for it into a folder named by their
// contents, once. The packages' own scripts do not run.
func installBull(ctx context.Context, cache string) (string, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("MISSING here: %s", program)
		}
	}
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder: %w (give one with -cache)", err)
		}
		cache = filepath.Join(user, "herosup-peers")
	}
	sum := sha256.New()
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json", "peer.mjs"} {
		b, err := bullFiles.ReadFile("bullmq/" + name)
		if err != nil {
			return "", err
		}
		files[name] = b
		_, _ = sum.Write(b) // never fails
	}
	dir := filepath.Join(cache, "bullmq-"+hex.EncodeToString(sum.Sum(nil))[:12])
	done := filepath.Join(dir, "installed")
	if _, err := os.Stat(done); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, lastLine(string(out)))
	}
	return dir, os.WriteFile(done, nil, 0o600)
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// bullVersion is BullMQ's and node's.
func (e *env) bullVersion() string {
	if e.bull == "" {
		return "no BullMQ"
	}
	var p struct{ Version string }
	_ = json.Unmarshal([]byte(readFile(filepath.Join(e.bull, "node_modules/bullmq/package.json"))), &p) // "" then
	out, _ := exec.Command("node", "--version").Output()
	return "BullMQ " + p.Version + " on node " + strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
}

// bullRole starts our program for BullMQ.
func (e *env) bullRole(ctx context.Context, name string, args ...string) (*role, error) {
	if e.bull == "" {
		return nil, errors.New("BullMQ is not installed")
	}
	return e.role(ctx, name, "node", append([]string{filepath.Join(e.bull, "peer.mjs")}, args...))
}

func bullLeft(ctx context.Context, s *server) (int, error) {
	p := s.Pipeline()
	waiting, running, delayed, failed := p.LLen(ctx, "bull:noop:wait"), p.LLen(ctx, "bull:noop:active"), p.ZCard(ctx, "bull:noop:delayed"), p.ZCard(ctx, "bull:noop:failed")
	_, err := p.Exec(ctx)
	return int(waiting.Val() + running.Val() + delayed.Val() + failed.Val()), err
}

func bullEnded(ctx context.Context, s *server) (int, error) {
	n, err := s.ZCard(ctx, "bull:noop:completed").Result()
	return int(n), err
}
