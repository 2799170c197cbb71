# Sourced. private_apt DIR: sets apt_options so that apt reads $SOURCES/debian.list alone and keeps its state in DIR;
# the machine's own configuration, lists and caches are neither used nor changed.
private_apt() {
	mkdir -p "$1"/{lists/partial,cache/archives/partial,parts}
	apt_options=(-q -o "Dir::Etc::SourceList=$SOURCES/debian.list" -o "Dir::Etc::SourceParts=$1/parts"
		-o "Dir::State::Lists=$1/lists" -o "Dir::State::Status=$1/status" -o "Dir::Cache=$1/cache" -o APT::Sandbox::User=root)
	: >"$1/status"
	apt-get "${apt_options[@]}" update
}
