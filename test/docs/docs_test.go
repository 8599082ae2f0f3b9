package docs

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/supnode/supnode/test/machine"
)

func TestMain(m *testing.M) { os.Exit(machine.Run(m)) }

// patience bounds a page.
const patience = 2 * time.Minute

func TestWhatThePagesSayIsSo(t *testing.T) {
	bin := build(t)
	for _, page := range []string{"getting-started.md"} {
		t.Run(page, func(t *testing.T) { follow(t, filepath.Join("..", "..", "docs", page), bin) })
	}
}

// build makes the program, and returns its folder.
func build(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"unshare", "ip", "pkill"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed (util-linux, iproute2 and procps have what the pages use)", tool)
		}
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "supnode"), "../../cmd/supnode").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// shell runs a script in dir, with a network and processes of its own: the ports of a page may be taken outside, and nothing
// that it starts outlives it.
func shell(t *testing.T, bin, dir, script string) (printed string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", append(apart(t), "bash", "-c", "ip link set lo up\n"+script)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), errors.Join(err, ctx.Err())
}

// follow runs a page in an empty directory.
func follow(t *testing.T, path, bin string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := steps(string(text))
	if len(all) == 0 {
		t.Fatalf("%s tells its readers to run nothing", path)
	}
	printed, err := shell(t, bin, t.TempDir(), script(all))
	got := outputs(printed)
	for i, s := range all {
		switch {
		case i >= len(got):
			t.Fatalf("%s:%d was not reached: %v\n%s", path, s.line, err, printed)
		case !fits(s.expect, got[i]):
			t.Errorf("%s:%d prints\n%s\nwhere the page says\n%s", path, s.line, strings.Join(got[i], "\n"), strings.Join(s.expect, "\n"))
		}
	}
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
}

// apart are the words that make unshare start a program in namespaces of its own.
func apart(t *testing.T) []string {
	words := []string{"--net", "--pid", "--fork", "--mount-proc", "--kill-child"}
	if os.Geteuid() != 0 {
		words = append(words, "--map-root-user")
	}
	if out, err := exec.Command("unshare", append(words, "ip", "link", "set", "lo", "up")...).CombinedOutput(); err != nil {
		t.Skipf("a page needs a network of its own, which this machine does not allow: %v %s", err, out)
	}
	return words
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		expect, lines string
		want          bool
	}{
		{"a  b", "a b", true},
		{"a", "a\nb", false},
		{"a\n…", "a\nb\nc", true},
		{"a\n…\nc", "a\nc", true},
		{"a\n…\nd", "a\nc", false},
		{"w1 … 0", "w1  running  n1  0", true},
		{"w1 … 0", "w1  running  n1  1", false},
		{"(a)", "(a)", true},
	} {
		if got := fits(strings.Split(c.expect, "\n"), strings.Split(c.lines, "\n")); got != c.want {
			t.Errorf("%q fits %q: %v", c.lines, c.expect, got)
		}
	}
}

// The cluster of the README: its config file, with the two others made from it as it says, under mutual TLS on the addresses
// that it names, and its manifest.
func TestTheClusterOfTheReadmeRuns(t *testing.T) {
	bin := build(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, kind := range map[string]string{"readme.yaml": "yaml", "pool.json": "json"} {
		block := first(string(text), kind)
		if block == "" {
			t.Fatalf("the README has no %s", kind)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	printed, err := shell(t, bin, dir, `set -eu
supnode tls init n1 n2 n3
for i in 1 2 3; do
  ip addr add 10.0.0.$i/32 dev lo
  sed -e "s/{name: n1, data_dir/{name: n$i, data_dir/" -e "s/listen: 10.0.0.1/listen: 10.0.0.$i/" -e "s/n1\(-key\)*\.pem/n$i\1.pem/g" \
    -e "s/127.0.0.1:8101/127.0.0.1:810$i/" -e "s|/var/lib/supnode|$PWD/n$i|" -e "s|/opt/app/\*\*|$PWD/app/**|" readme.yaml > n$i.yaml
  supnode config check n$i.yaml
done
mkdir app
printf '#!/bin/sh\nexec sleep 1000\n' > app/worker
chmod +x app/worker
sed -i "s|/opt/app|$PWD/app|" pool.json
for i in 1 2 3; do supnode start --config n$i.yaml & done
until [ "$(supnode nodes list 2> /dev/null | grep -cw up)" = 3 ]; do sleep 0.1; done
supnode sup start pool.json
supnode children list pool`)
	if err != nil || !strings.Contains(printed, "w1  running") {
		t.Errorf("%v\n%s", err, printed)
	}
}

// first is the first block of a kind.
func first(page, kind string) string {
	_, rest, ok := strings.Cut(page, "\n```"+kind+"\n")
	block, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		return ""
	}
	return block + "\n"
}
