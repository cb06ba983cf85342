"""Layouts of rows that public data sets have, with invented content, and by hand what training learns of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Turns = list[dict[str, Any]]


@dataclass(frozen=True)
class RowLayout:
    """Rows of one layout. ``talk`` is what supervised training reads of the first row (a text, or turns of which
    the last is the answer), ``pair`` prompt, chosen and rejected, ``labelled`` prompt, answer and label, ``asked``
    the prompt and the reference answer; None where that way of training has to refuse them. ``told`` are the
    columns that supervised training warns of (or pairs do, where there is no ``talk``)."""

    name: str
    rows: tuple[Any, ...]
    talk: str | Turns | None = None
    pair: tuple[Turns, str, str] | None = None
    labelled: tuple[Turns, str, bool] | None = None
    asked: tuple[Turns, str] | None = None
    told: tuple[str, ...] = ()
    suffix: str = ".jsonl"


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def says(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def human(text: str) -> dict[str, Any]:
    return {"from": "human", "value": text}


def gpt(text: str) -> dict[str, Any]:
    return {"from": "gpt", "value": text}


ASK, GOOD, BAD = "Is the harbour open?", "Since dawn.", "No idea."
Q, KEEPER = user(ASK), "You keep the harbour."
TALK = [Q, says(GOOD)]
BEFORE = [user("Ahoy?"), says("Ahoy!")]
WORSE = [Q, says(BAD)]
TOOL = {"name": "signal", "description": "Sets a flag.", "parameters": {"flag": {"type": "str"}}}
FLAG = {"type": "function", "function": {"name": "signal", "arguments": {"flag": "B"}}}
PICK = "Which floats?"
PICKED = user(f"{PICK}\n\nA. cork\nB. lead")
PAIR = ([Q], GOOD, BAD)
SUM, SUM_WORK = "3 boats with 4 men. How many men?", "3 times 4 is 12, so \\boxed{12}."


LAYOUTS = (
    # -- preference
    RowLayout("ultrafeedback", ({"prompt": ASK, "prompt_id": "p1", "chosen": TALK, "rejected": WORSE,
                                 "messages": TALK, "score_chosen": 8.5, "score_rejected": 2.0},), pair=PAIR),
    RowLayout("helpsteer 2", ({"prompt": ASK, "response": GOOD, "helpfulness": 4, "correctness": 4, "coherence": 4,
                               "complexity": 1, "verbosity": 1},), TALK, asked=([Q], GOOD)),
    RowLayout("helpsteer 2, preference", ({"split": "train", "prompt": ASK, "response_1": BAD, "response_2": GOOD,
                                           "preference_strength": 3, "preference_statement": "The second."},),
              pair=PAIR),
    RowLayout("helpsteer 3", ({"domain": "sea", "language": "en", "context": [Q], "response1": GOOD,
                               "response2": BAD, "overall_preference": -2},), pair=PAIR),
    RowLayout("capybara, preference", ({"source": "s", "conversation": [{"input": "Ahoy?", "output": "Ahoy!"}],
                                        "original_response": "x", "prompt": "Ahoy?", "chosen": [*BEFORE, *TALK],
                                        "rejected": [*BEFORE, *WORSE], "rating_chosen": 5, "chosen_model": "m"},),
              pair=([*BEFORE, Q], GOOD, BAD), told=("original_response",)),
    RowLayout("orca pairs", ({"system": KEEPER, "question": ASK, "chosen": GOOD, "rejected": BAD},),
              pair=([system(KEEPER), Q], GOOD, BAD)),
    RowLayout("safe rlhf", ({"prompt": ASK, "response_0": BAD, "response_1": GOOD, "prompt_source": "s",
                             "is_response_0_safe": True, "is_response_1_safe": True, "better_response_id": 1,
                             "safer_response_id": 0},), pair=PAIR),
    RowLayout("alpaca farm", ({"instruction": ASK, "input": "", "output_1": GOOD, "output_2": BAD,
                               "preference": 1},), pair=PAIR),
    RowLayout("arena", ({"question_id": "q", "model_a": "m", "model_b": "n", "winner": "model_b", "judge": "j",
                         "conversation_a": WORSE, "conversation_b": TALK, "turn": 1, "language": "English"},) * 2,
              pair=PAIR),
    RowLayout("helpful and harmless", ({"chosen": f"\n\nHuman: {ASK}\n\nAssistant: {GOOD}",
                                        "rejected": f"\n\nHuman: {ASK}\n\nAssistant: {BAD}"},), pair=PAIR),
    RowLayout("preference with history", ({"instruction": ASK, "input": "", "chosen": GOOD, "rejected": BAD,
                                           "history": [["Ahoy?", "Ahoy!"]]},), pair=([*BEFORE, Q], GOOD, BAD)),
    RowLayout("preference with choices", ({"question": PICK, "choices": ["cork", "lead"], "chosen": "A",
                                           "rejected": "B"},), pair=([PICKED], "A", "B")),
    # -- labelled
    RowLayout("unpaired answers", ({"prompt": [Q], "completion": [says(GOOD)], "label": True},
                                   {"prompt": [Q], "completion": [says(BAD)], "label": False}),
              labelled=([Q], GOOD, True)),
    RowLayout("tagged conversations", ({"conversations": [human(ASK), gpt(GOOD)], "kto_tag": True},
                                       {"conversations": [human(ASK), gpt(BAD)], "kto_tag": False}),
              labelled=([Q], GOOD, True)),
    # -- chats
    RowLayout("openhermes", ({"conversations": [human(ASK), gpt(GOOD)], "source": "s", "category": None,
                              "skip_prompt_formatting": False, "system_prompt": None, "title": None},),
              TALK, asked=([Q], GOOD)),
    RowLayout("lmsys", ({"conversation_id": "c", "model": "m", "conversation": TALK, "turn": 1, "language": "en",
                         "openai_moderation": [{"flagged": False}], "redacted": False},), TALK, asked=([Q], GOOD)),
    RowLayout("slim orca", ({"conversations": [{"from": "system", "value": KEEPER, "weight": None},
                                               {"from": "human", "value": ASK, "weight": 0.0},
                                               {"from": "gpt", "value": GOOD, "weight": 1.0}]},),
              [system(KEEPER), Q | {"weight": 0.0}, says(GOOD) | {"weight": 1.0}],
              asked=([system(KEEPER), Q | {"weight": 0.0}], GOOD)),
    RowLayout("ultrachat", ({"prompt": ASK, "prompt_id": "p", "messages": TALK},), TALK, asked=([Q], GOOD),
              told=("prompt",)),
    RowLayout("capybara", ({"source": "s", "conversation": [{"input": "Ahoy?", "output": "Ahoy!"},
                                                            {"input": ASK, "output": GOOD}]},),
              [*BEFORE, *TALK], asked=([*BEFORE, Q], GOOD)),
    RowLayout("one transcript and its answer", ({"prompt": f"\n\nHuman: Ahoy?\n\nAssistant: Ahoy!\n\nHuman: {ASK}"
                                                           "\n\nAssistant:", "response": GOOD},),
              [*BEFORE, *TALK], asked=([*BEFORE, Q], GOOD)),
    RowLayout("chatbot", ({"messages": [{"role": "System", "content": KEEPER}, {"role": "User", "content": ASK},
                                        {"role": "Chatbot", "content": GOOD}]},),
              [system(KEEPER), *TALK], asked=([system(KEEPER), Q], GOOD)),
    RowLayout("system in parts", ({"schemaVersion": "v", "system": [{"text": KEEPER}], "messages": [
        {"role": "user", "content": [{"text": ASK}]}, {"role": "assistant", "content": [{"text": GOOD}]}]},),
        [system(KEEPER), *TALK], asked=([system(KEEPER), Q], GOOD)),
    RowLayout("single messages of trees", ({"message_id": "m", "parent_id": None, "text": ASK, "role": "prompter",
                                            "lang": "en"},)),
    RowLayout("a list of rows within a row", ({"id": "i", "instruction": "Add.", "instances": [
        {"input": "1 2", "output": "3"}]},), suffix=".json"),
    RowLayout("segments", ({"segments": [{"label": False, "text": ASK}, {"label": True, "text": GOOD}]},),
              suffix=".json"),
    # -- tools
    RowLayout("calls as answers", ({"query": ASK, "answers": '[{"name": "signal", "arguments": {"flag": "B"}}]',
                                    "tools": [TOOL]},), [Q, says("") | {"tool_calls": [FLAG]}],
              asked=([Q], '[{"name": "signal", "arguments": {"flag": "B"}}]')),
    RowLayout("tool ace", ({"system": KEEPER, "conversations": [
        {"from": "user", "value": ASK}, {"from": "assistant", "value": "[signal(flag='B')]"},
        {"from": "tool", "value": "up"}, {"from": "assistant", "value": GOOD}]},),
        [system(KEEPER), Q, says("[signal(flag='B')]"), {"role": "tool", "content": "up"}, says(GOOD)],
        asked=([system(KEEPER), Q, says("[signal(flag='B')]"), {"role": "tool", "content": "up"}], GOOD)),
    # -- instructions and questions
    RowLayout("dolly", ({"instruction": ASK, "context": "Open from dawn.", "response": GOOD, "category": "qa"},),
              [user(f"{ASK}\n\nOpen from dawn."), says(GOOD)], asked=([user(f"{ASK}\n\nOpen from dawn.")], GOOD)),
    RowLayout("alpaca with its text", ({"instruction": ASK, "input": "", "output": GOOD, "text": "Below…"},), TALK,
              asked=([Q], GOOD)),
    RowLayout("numbers", ({"instruction": "Double.", "input": 6, "output": 12},),
              [user("Double.\n\n6"), says("12")], asked=([user("Double.\n\n6")], "12")),
    RowLayout("a number as the prompt", ({"prompt": 12, "completion": "twelve"},), [user("12"), says("twelve")],
              asked=([user("12")], "twelve")),
    RowLayout("true and false", ({"question": True, "answer": False},), [user("true"), says("false")],
              asked=([user("true")], "false")),
    RowLayout("a number as a rated prompt", ({"prompt": 12, "chosen": "twelve", "rejected": 2},),
              pair=([user("12")], "twelve", "2")),
    RowLayout("super natural instructions", ({"definition": "Translate.", "inputs": ASK, "targets": GOOD},), TALK,
              asked=([Q], GOOD), told=("definition",)),
    RowLayout("bitext", ({"flags": "B", "instruction": ASK, "intent": "ask", "response": GOOD},), TALK,
              asked=([Q], GOOD), told=("intent",)),
    RowLayout("an instruction, its input and a reference",
              ({"instruction": ASK, "input": "Open from dawn.", "answer": GOOD},),
              [user(f"{ASK}\n\nOpen from dawn."), says(GOOD)],
              asked=([user(f"{ASK}\n\nOpen from dawn.")], GOOD)),
    RowLayout("several contexts", ({"question": ASK, "contexts": ["Open.", "Dawn."], "answer": GOOD},),
              [user(f"{ASK}\n\nOpen.\n\nDawn."), says(GOOD)], asked=([user(f"{ASK}\n\nOpen.\n\nDawn.")], GOOD)),
    RowLayout("questions on an article", ({"example_id": "e", "article": "Cork is light.", "question": PICK,
                                           "options": ["cork", "lead"], "answer": "A"},),
              [user(f"{PICK}\n\nCork is light.\n\nA. cork\nB. lead"), says("A")],
              asked=([user(f"{PICK}\n\nCork is light.\n\nA. cork\nB. lead")], "A")),
    RowLayout("squad", ({"id": "s", "title": "t", "context": "Open since dawn.", "question": ASK,
                         "answers": {"text": ["since dawn"], "answer_start": [5]}},),
              [user(f"{ASK}\n\nOpen since dawn."), says("since dawn")],
              asked=([user(f"{ASK}\n\nOpen since dawn.")], "since dawn")),
    RowLayout("squad without an answer", ({"context": "c", "question": ASK, "answers": {"text": []}},)),
    RowLayout("arc", ({"id": "i", "question": PICK, "choices": {"text": ["cork", "lead"], "label": ["A", "B"]},
                       "answerKey": "A"},), [PICKED, says("A")], asked=([PICKED], "A")),
    RowLayout("open book", ({"question_stem": PICK, "choices": {"text": ["cork", "lead"], "label": ["A", "B"]},
                             "answerKey": "A"},), [PICKED, says("A")], asked=([PICKED], "A")),
    RowLayout("mmlu", ({"question": PICK, "subject": "s", "choices": ["cork", "lead"], "answer": 0},),
              [PICKED, says("A")], asked=([PICKED], "A")),
    RowLayout("medical exam", ({"question": PICK, "opa": "cork", "opb": "lead", "cop": 0},),
              [PICKED, says("A")], asked=([PICKED], "A")),
    RowLayout("yes or no", ({"question": ASK, "answer": True, "passage": "It is."},),
              [user(f"{ASK}\n\nIt is."), says("true")], asked=([user(f"{ASK}\n\nIt is.")], "true")),
    RowLayout("summaries", ({"document": "Open. Since dawn.", "summary": "Open.", "id": "1"},),
              [user("Open. Since dawn."), says("Open.")], asked=([user("Open. Since dawn.")], "Open.")),
    RowLayout("summaries of texts", ({"text": "Open. Since dawn.", "summary": "Open.", "title": "t"},),
              [user("Open. Since dawn."), says("Open.")], asked=([user("Open. Since dawn.")], "Open.")),
    RowLayout("classes", ({"text": "The gulls are loud.", "label": "complaint"},),
              [user("The gulls are loud."), says("complaint")], asked=([user("The gulls are loud.")], "complaint")),
    RowLayout("text and code", ({"task_id": 1, "text": "Write a loop.", "code": "while 1: pass"},), "Write a loop.",
              told=("code",)),
    RowLayout("text", ({"text": "The harbour lies still.", "url": "u"},), "The harbour lies still."),
    # -- sums
    RowLayout("gsm8k", ({"question": SUM, "answer": "3 * 4 = <<3*4=12>>12\n#### 12"},),
              [user(SUM), says("3 * 4 = <<3*4=12>>12\n#### 12")], asked=([user(SUM)], "12")),
    RowLayout("math", ({"problem": SUM, "level": "1", "type": "Algebra", "solution": SUM_WORK},),
              [user(SUM), says(SUM_WORK)], asked=([user(SUM)], "12")),
    RowLayout("problem, answer, solution", ({"problem": SUM, "answer": "12", "solution": SUM_WORK},),
              [user(SUM), says(SUM_WORK)], asked=([user(SUM)], "12"), told=("answer",)),
    RowLayout("numina", ({"source": "s", "problem": SUM, "solution": SUM_WORK,
                          "messages": [user(SUM), says(SUM_WORK)]},),
              [user(SUM), says(SUM_WORK)], asked=([user(SUM)], "12"), told=("problem", "solution")),
    RowLayout("verl", ({"data_source": "d", "prompt": [user(SUM)], "ability": "math",
                        "reward_model": {"ground_truth": "12", "style": "rule"}, "extra_info": {"index": 0}},),
              asked=([user(SUM)], "12")),
    RowLayout("metamath", ({"type": "AnsAug", "query": SUM, "original_question": "x", "response": SUM_WORK},),
              [user(SUM), says(SUM_WORK)], asked=([user(SUM)], "12"), told=("original_question",)),
    # -- of no use as they are, and told
    RowLayout("inference of sentences", ({"premise": "It is open.", "hypothesis": "It is shut.", "label": 2},)),
    RowLayout("names in sentences", ({"id": "0", "tokens": ["Ann", "sails"], "ner_tags": [1, 0]},)),
    RowLayout("endings", ({"ind": 1, "ctx": "The boat", "endings": ["sinks.", "sings."], "label": "0"},)),
    RowLayout("ranked answers", ({"prompt": "\n\nHuman: a?\n\nAssistant: ", "answers": [
        {"answer": GOOD, "rank": 1.0}, {"answer": BAD, "rank": 2.0}], "turns": 1},), suffix=".json"),
    RowLayout("ids of tokens", ({"inputs": [1, 2], "inputs_pretokenized": ASK, "targets": [3]},)),
)  # fmt: skip
