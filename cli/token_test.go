package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/supnode/supnode/admin"
	"github.com/supnode/supnode/cli/config"
)

func TestNewTokensGoIntoTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	var want []admin.Token
	for _, role := range []string{"viewer", "operator", "admin"} {
		status, out, errs := run(t, "token new --role "+role+" --name my-"+role+" --file "+file, "")
		if status != 0 || errs != "" || strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "supnode_") {
			t.Fatalf("%d %q %q", status, out, errs)
		}
		want = append(want, admin.NewToken("my-"+role, admin.Role(role), strings.TrimSpace(out)))
		if text, _ := os.ReadFile(file); strings.Contains(string(text), strings.TrimSpace(out)) {
			t.Errorf("the file tells the token: %s", text)
		}
	}
	list, warnings, err := config.LoadTokens(file)
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestNewTokensArePrintedWithTheirEntry(t *testing.T) {
	status, out, _ := run(t, "token new --role viewer", "")
	line := out[strings.Index(out, "- "):]
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	list, _, err := config.LoadTokens(file)
	text := strings.Fields(out)[1]
	if status != 0 || err != nil || len(list) != 1 || list[0] != admin.NewToken("viewer", admin.Viewer, text) {
		t.Errorf("%d %s: %v, %v", status, out, list, err)
	}
	status, out, _ = run(t, "token new --role viewer -o json", "")
	var v map[string]string
	if err := json.Unmarshal([]byte(out), &v); status != 0 || err != nil || v["token"] == "" || len(v["sha256"]) != 64 || v["role"] != "viewer" {
		t.Errorf("%d %s", status, out)
	}
}

func TestAFileThatIsNoListOfTokensIsLeftAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "n1.yaml")
	const text = "node: {name: n1}"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	status, out, errs := run(t, "token new --role viewer --file "+file, "")
	if status == 0 || out != "" || !strings.Contains(errs, "would not be a list of tokens") {
		t.Errorf("%d %q %q", status, out, errs)
	}
	if after, _ := os.ReadFile(file); string(after) != text {
		t.Errorf("%s", after)
	}
	if status, _, errs := run(t, "token new --role root", ""); status != 2 || !strings.Contains(errs, "write viewer, operator or admin") {
		t.Errorf("%d %s", status, errs)
	}
}
