/**
 * What a guest's own kernel says of the module and of a program's threads, as it changes.
 *
 * @since 0.1.0
 */

/**
 * A bash program that starts no other while it looks, so that it costs the guest little, and that reads each file at once: line by line
 * bash seeks back after each, and a file that has changed by then is taken up in mid-line. Its argument is the pid of the program; it
 * ends with it. It looks ten times a second, beside the time that a look takes. One line a change: time, then `name=value` parted by `|`.
 *
 * @since 0.1.0
 */
export const script = `
folder=$(mktemp -d) && mkfifo $folder/tick && exec 3<>$folder/tick && rm -r $folder
last=
begun=$EPOCHREALTIME
while [ -e /proc/$1 ]; do
  since=$begun
  begun=$EPOCHREALTIME
  now=
  text= && read -rd '' text </proc/virtflex/status
  while read -r name rest; do
    case $name in
    state | generation | runtimes) now+="$name=$rest|" ;;
    node) set -- "$1" $rest; now+="node$4=$5 $7|" ;;
    esac
  done <<<"$text"
  now+=threads=
  for task in /proc/$1/task/*; do
    text= && read -rd '' text <$task/status
    [[ $text != *Cpus_allowed_list:* ]] || { set -- "$1" \${text#*Cpus_allowed_list:} && now+="$2 "; }
  done 2>/dev/null
  [ "$now" = "$last" ] || echo "$EPOCHREALTIME|since=$since|$now"
  last=$now
  read -rt 0.1 -u 3
done`;

/** @since 0.1.0 */
export interface Observation {
  /** By the guest's clock. */
  readonly atMs: number;
  /** When the look before this one began: what has changed has done so since. */
  readonly sinceMs: number;
  readonly state: string;
  readonly generation: number;
  readonly runtimes: string;
  readonly vnodes: ReadonlyArray<{ readonly state: string; readonly actualKiB: number }>;
  /** The CPUs that each thread of the program may run on. */
  readonly threads: ReadonlyArray<string>;
}

/** @since 0.1.0 */
export const parse = (line: string): Observation => {
  const [at = "", ...fields] = line.split("|");
  const values = new Map(fields.map((field) => field.split("=", 2) as [string, string]));
  const text = (name: string) => values.get(name) ?? "";
  return {
    atMs: Number(at) * 1e3,
    sinceMs: Number(text("since")) * 1e3,
    state: text("state"),
    generation: Number(text("generation")),
    runtimes: text("runtimes"),
    vnodes: fields
      .filter((field) => field.startsWith("node"))
      .map((field) => {
        const [state = "", kib = ""] = (field.split("=")[1] ?? "").split(" ");
        return { state, actualKiB: Number(kib) };
      }),
    threads: text("threads").trim().split(" ").filter(Boolean),
  };
};

/** The CPUs of a list such as `0-1,3`. @since 0.1.0 */
export const cpusOf = (list: string): ReadonlyArray<number> =>
  list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
