#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "inference/model_repository.h"
#include "plant/history.h"
#include "tests/stories/steps.h"
#include "tests/stories/teacher.h"
#include "things/model.h"

namespace penstock::stories {
namespace {

namespace fs = std::filesystem;

std::string Source(const std::string& folder) {
  return std::string(PENSTOCK_SOURCE_DIR) + "/" + folder;
}

Status EnsureSite(World& world) {
  if (fs::exists(world.site())) return {};
  return world.CopySite(Source("tests/stories/site"));
}

Status Site(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string name, words.Word("a folder of examples/"));
  return world.CopySite(Source("examples/" + name));
}

// A Thing Description from the site's Thing Model; its values are pushed.
Status Thing(World& world, Words& words) {
  TRY(EnsureSite(world));
  ASSIGN_OR_RETURN(const std::string name, words.Word("a thing's name"));
  if (!words.Take("from")) return InvalidArgument("from which Thing Model?");
  ASSIGN_OR_RETURN(const std::string file, words.Word("a Thing Model's file"));
  ASSIGN_OR_RETURN(const Json model, ReadDocument(world.site() + "/things/" + file));
  ASSIGN_OR_RETURN(Json thing,
                   things::Instantiate(model, {{"NAME", name},
                                               {"TITLE", name},
                                               {"ASSET", "acme/cologne/filling/line-1/" + name}}));
  for (auto& [key, property] : thing["properties"].items())
    property["forms"] = Json::array({{{"href", "http://local/write"}, {"op", "observeproperty"}}});
  TRY(WriteFileAtomically(fmt::format("{}/things/{}.td.json", world.site(), name), thing.dump(2)));
  world.Housekeep();
  return {};
}

// Installs versions up to the one asked for and makes it the champion.
Status Model(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string reference, words.Word("a model and version"));
  const size_t at = reference.find('@');
  if (at == std::string::npos) return InvalidArgument("{} names no version: bearing@3", reference);
  const std::string name = reference.substr(0, at);
  ASSIGN_OR_RETURN(const auto other, words.Option("from", "a model"));
  if (!words.Take("on")) return InvalidArgument("on which thing?");
  ASSIGN_OR_RETURN(const std::string thing, words.Word("a thing"));
  if (!words.Take("as") || !words.Take("production"))
    return InvalidArgument("\"as production\" expected");
  ASSIGN_OR_RETURN(const std::string onnx, TrainedModel(other.value_or(name), world.site(), thing));
  inference::ModelRepository repository(world.data() + "/models");
  uint32_t version = 0;
  while (std::to_string(version) != reference.substr(at + 1)) {
    if (version > 20) return InvalidArgument("{} is no version", reference);
    ASSIGN_OR_RETURN(version, repository.Install(name, AsBytes(onnx)));
  }
  TRY(repository.Activate(name, version));
  ASSIGN_OR_RETURN(const std::string binding, BindingText(name, thing));
  TRY(MakeFolders(world.site() + "/models"));
  return WriteFileAtomically(fmt::format("{}/models/{}.yaml", world.site(), name), binding);
}

// Only its file: a detector is not trained.
Status Detector(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string name, words.Word("a file of tests/stories/models"));
  if (!words.Take("on")) return InvalidArgument("on which thing?");
  ASSIGN_OR_RETURN(const std::string thing, words.Word("a thing"));
  ASSIGN_OR_RETURN(const std::string binding, BindingText(name, thing));
  TRY(MakeFolders(world.site() + "/models"));
  return WriteFileAtomically(fmt::format("{}/models/{}.yaml", world.site(), name), binding);
}

Status Models(World& world, Words& words) {
  if (!words.Take("of") || !words.Take("the") || !words.Take("plant"))
    return InvalidArgument("models of the plant?");
  return CopyPlantModels(world.site(), world.data() + "/models");
}

Result<telemetry::Quality> QualityOf(const std::string& name) {
  for (const telemetry::Quality quality :
       {telemetry::kGood, telemetry::kUncertain, telemetry::kUncertainSubNormal, telemetry::kBad,
        telemetry::kBadNoCommunication, telemetry::kBadSensorFailure, telemetry::kBadNotConnected,
        telemetry::kBadOutOfRange})
    if (telemetry::QualityName(quality) == name) return quality;
  return InvalidArgument("\"{}\" is no quality", name);
}

struct Column {
  PointId point;
  std::vector<double> values;
};

Result<std::vector<Column>> ReadColumns(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string thing, words.Word("a thing"));
  const auto snapshot = world.services().directory.snapshot();
  std::vector<Column> columns;
  do {
    ASSIGN_OR_RETURN(const std::string property, words.Word("a property"));
    const things::Point* point = snapshot->FindPoint(thing + "/" + property);
    if (point == nullptr) return NotFound("no point {}/{}", thing, property);
    Column column{point->id, {}};
    while (!words.empty() && words.Peek() != "," && words.Peek() != "every") {
      ASSIGN_OR_RETURN(const double value, words.Number("a value"));
      column.values.push_back(value);
    }
    if (column.values.empty()) return InvalidArgument("{} has no values", property);
    columns.push_back(std::move(column));
  } while (words.Take(","));
  return columns;
}

// With "for" the values go round; without it each comes once.
Status Send(World& world, Words& words) {
  TRY(world.Start());
  ASSIGN_OR_RETURN(const auto columns, ReadColumns(world, words));
  if (!words.Take("every")) return InvalidArgument("every how long?");
  ASSIGN_OR_RETURN(const Duration every, words.Span("a time"));
  size_t rounds = 0;
  for (const Column& column : columns) rounds = std::max(rounds, column.values.size());
  if (words.Take("for")) {
    ASSIGN_OR_RETURN(const Duration whole, words.Span("a time"));
    rounds = static_cast<size_t>(whole / every);
  }
  ASSIGN_OR_RETURN(const auto quality_name, words.Option("as", "a quality"));
  ASSIGN_OR_RETURN(const telemetry::Quality quality, QualityOf(quality_name.value_or("Good")));
  for (size_t round = 0; round < rounds; ++round) {
    telemetry::Batch batch;
    const Time now = world.clock().Now();
    for (const Column& column : columns)
      batch.Add(column.point, now, now, column.values[round % column.values.size()], quality);
    TRY(world.Send(std::move(batch)));
    world.clock().Advance(every);
    world.Housekeep();
  }
  return {};
}

Status Write(World& world, Words& words) {
  std::string body;
  do {
    ASSIGN_OR_RETURN(const std::string line, words.Word("a line of line protocol, with ' for \""));
    body += line + "\n";
  } while (words.Take(","));
  std::replace(body.begin(), body.end(), '\'', '"');
  ASSIGN_OR_RETURN(world.last_answer, world.Ask("engineer", "POST", "/write", body));
  world.services().pipeline.WaitUntilHandled();
  return {};
}

void AddReading(const plant::Reading& reading, PointId id, telemetry::Batch& batch) {
  const telemetry::Quality quality = reading.bad ? telemetry::kBadSensorFailure : telemetry::kGood;
  if (reading.waveform.empty())
    return batch.Add(id, reading.time, reading.time, reading.value, quality);
  for (size_t i = 0; i < reading.waveform.size(); ++i)
    batch.Add(id, reading.time + FromSeconds(static_cast<double>(i) / reading.sample_rate_hz),
              reading.time, reading.waveform[i], quality);
}

// The example's machines, as the simulated plant runs them with nobody to answer.
Status Plant(World& world, Words& words) {
  TRY(world.Start());
  if (!words.Take("runs")) return InvalidArgument("plant runs how long?");
  plant::HistoryRun run;
  ASSIGN_OR_RETURN(const Duration length, words.Span("a time"));
  run.hours = ToSeconds(length) / 3600;
  run.start = world.clock().Now();
  if (words.Take("seed")) {
    ASSIGN_OR_RETURN(const double seed, words.Number("a seed"));
    run.seed = static_cast<uint64_t>(seed);
  }
  const auto snapshot = world.services().directory.snapshot();
  std::map<Time, telemetry::Batch>
      by_time;  // The machines' readings come one machine after the other.
  std::vector<plant::FaultEvent> faults;
  plant::RunHistory(
      run,
      [&](const plant::Reading& reading) {
        const Time slot(reading.time.time_since_epoch() / std::chrono::minutes(1) *
                        Duration(std::chrono::minutes(1)));
        if (const things::Point* point = snapshot->FindPoint(reading.path))
          AddReading(reading, point->id, by_time[slot]);
      },
      &faults);
  for (auto& [slot, batch] : by_time) {
    world.clock().Set(slot + std::chrono::minutes(1));
    TRY(world.Send(std::move(batch)));
    world.Housekeep();
  }
  return {};
}

Status Wait(World& world, Words& words) {
  TRY(world.Start());
  ASSIGN_OR_RETURN(const Duration time, words.Span("a time"));
  world.Wait(time);
  return {};
}

Status Restart(World& world, Words&) {
  world.Stop();
  return world.Start();
}

// A text in quotes, with ' for the quotes inside.
Result<std::string> Quoted(Words& words) {
  ASSIGN_OR_RETURN(std::string text, words.Word("a text in quotes"));
  std::replace(text.begin(), text.end(), '\'', '"');
  return text;
}

Status Edit(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string file, words.Word("a file of the site"));
  ASSIGN_OR_RETURN(const std::string from, Quoted(words));
  if (!words.Take("to")) return InvalidArgument("\"to\" expected");
  ASSIGN_OR_RETURN(const std::string to, Quoted(words));
  ASSIGN_OR_RETURN(std::string text, ReadFile(world.site() + "/" + file));
  const size_t at = text.find(from);
  if (at == std::string::npos) return NotFound("{} has no \"{}\"", file, from);
  TRY(WriteFileAtomically(world.site() + "/" + file, text.replace(at, from.size(), to)));
  world.Housekeep();
  return {};
}

// As an editor leaves it that was killed while saving.
Status Tear(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string file, words.Word("a file of the site"));
  ASSIGN_OR_RETURN(const std::string text, ReadFile(world.site() + "/" + file));
  TRY(WriteFileAtomically(world.site() + "/" + file, text.substr(0, text.size() / 2)));
  world.Housekeep();
  return {};
}

Status Remove(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string file, words.Word("a file of the site"));
  if (!fs::remove(world.site() + "/" + file)) return NotFound("there is no {}", file);
  world.Housekeep();
  return {};
}

// POST /alarms/{id}/WHAT by a person.
Status Answer(World& world, const std::string& role, const std::string& cause,
              const std::string& what, const Json& body) {
  ASSIGN_OR_RETURN(const Json alarm, NewestAlarm(world, cause));
  ASSIGN_OR_RETURN(world.last_answer, world.Ask(role, "POST",
                                                fmt::format("/api/v1/alarms/{}/{}",
                                                            alarm["id"].get<std::string>(), what),
                                                body.dump()));
  return {};
}

Status Sign(World& world, const std::string& role, Words& words) {
  ASSIGN_OR_RETURN(const std::string usecase, words.Word("a use case"));
  ASSIGN_OR_RETURN(const auto as, words.Option("as", "a role"));
  ASSIGN_OR_RETURN(world.last_answer,
                   world.Ask(role, "POST", "/api/v1/usecases/" + usecase + "/gates/G1/sign",
                             Json{{"as", as.value_or(role)}}.dump()));
  return {};
}

// "admin gives kim plant-manager, shift-lead", or "nothing".
Status Give(World& world, const std::string& role, Words& words) {
  ASSIGN_OR_RETURN(const std::string name, words.Word("a person"));
  Json titles = Json::array();
  do {
    ASSIGN_OR_RETURN(const std::string title, words.Word("a title, or nothing"));
    if (title != "nothing") titles.push_back(title);
  } while (words.Take(","));
  ASSIGN_OR_RETURN(world.last_answer, world.Ask(role, "PATCH", "/api/v1/users/" + name,
                                                Json{{"titles", titles}}.dump()));
  return {};
}

Status Person(World& world, const std::string& role, Words& words) {
  TRY(world.Start());
  ASSIGN_OR_RETURN(const std::string verb, words.Word("what they do"));
  if (verb == "signs") return Sign(world, role, words);
  if (verb == "gives") return Give(world, role, words);
  ASSIGN_OR_RETURN(const std::string cause, words.Word("an alarm's cause"));
  if (verb == "acknowledges") return Answer(world, role, cause, "acknowledge", Json::object());
  if (verb == "unshelves") return Answer(world, role, cause, "unshelve", Json::object());
  if (verb == "confirms")
    return Answer(world, role, cause, "verdict", {{"kind", "true_fault"}, {"note", words.Rest()}});
  if (verb == "overrides") {
    ASSIGN_OR_RETURN(const auto kind, words.Option("as", "a verdict"));
    return Answer(world, role, cause, "verdict",
                  {{"kind", kind.value_or("false_alarm")}, {"note", words.Rest()}});
  }
  if (verb == "shelves") {
    ASSIGN_OR_RETURN(const auto time, words.Option("for", "a time"));
    return Answer(world, role, cause, "shelve",
                  {{"for", time.value_or("1h")}, {"reason", words.Rest()}});
  }
  return InvalidArgument("a {} cannot \"{}\" here", role, verb);
}

Status Viewer(World& world, Words& words) { return Person(world, "viewer", words); }
Status Technician(World& world, Words& words) { return Person(world, "technician", words); }
Status Admin(World& world, Words& words) { return Person(world, "admin", words); }

// "kim as viewer": from now on this person is there.
Status User(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string name, words.Word("a name"));
  ASSIGN_OR_RETURN(const auto role, words.Option("as", "an access role"));
  return world.AddPerson(name, role.value_or("viewer"));
}

Status Named(World& world, Words& words) {
  ASSIGN_OR_RETURN(const std::string name, words.Word("a person"));
  return Person(world, name, words);
}

constexpr const char* kPersonForm =
    "ROLE confirms|overrides|acknowledges|shelves|unshelves CAUSE [as KIND] [for TIME] [\"note\"]";

constexpr StepKind kActions[] = {
    {"site", "site EXAMPLE", Site},
    {"thing", "thing NAME from FILE.tm.json", Thing},
    {"model", "model NAME@VERSION [from OTHER] on THING as production", Model},
    {"detector", "detector NAME on THING", Detector},
    {"models", "models of the plant", Models},
    {"send",
     "send THING PROPERTY VALUE... [, PROPERTY VALUE...] every TIME [for TIME] [as QUALITY]", Send},
    {"write", "write \"line protocol, ' for quotes\" [, \"...\"]", Write},
    {"plant", "plant runs TIME [seed N]", Plant},
    {"wait", "wait TIME", Wait},
    {"restart", "restart", Restart},
    {"edit", "edit FILE \"text\" to \"text\"", Edit},
    {"tear", "tear FILE", Tear},
    {"remove", "remove FILE", Remove},
    {"viewer", kPersonForm, Viewer},
    {"technician", kPersonForm, Technician},
    {"admin", "admin signs USECASE as ROLE; admin gives NAME TITLE[, TITLE]", Admin},
    {"user", "user NAME as ROLE", User},
    {"person", "person NAME signs USECASE as ROLE, and all else that a role does", Named},
};

}  // namespace

std::span<const StepKind> Actions() { return kActions; }

}  // namespace penstock::stories
