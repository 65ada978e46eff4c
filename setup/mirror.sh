# Sourced: `mirror` prints the Debian mirror that this machine gets its own packages from.
mirror() {
    apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -E '/debian/?$' | sort -u | head -n 1
}
