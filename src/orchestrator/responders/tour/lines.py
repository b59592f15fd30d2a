"""What the tour says. Each name is a choice of wordings; what stands in braces is filled in.

Two wordings are told apart by their longest stretch without braces (`scene.tell_tale`): no such stretch may be part of
another wording. A test checks it.
"""

from __future__ import annotations

GREETING = ("Hello! I'm Antiphon. {running}",)
VOICE_AND_EARS = ("My voice is {tts}, and {asr} is listening to you.",)
VOICE_ONLY = ("My voice is {tts}. Nothing here turns speech into words, but I notice when you talk, and you can type.",)
RUNNING_UNKNOWN = ("I'm a small tour of what is running here.",)
ENGLISH_ONLY = ("So far, English is all I speak on this tour.",)
INVITE = ("I'm going to count to twenty. Talk over me whenever you like; any word will do.",)

COUNT = (
    "Here I go. Stop me whenever you like.",
    "Once more, then. See where you catch me.",
    "Let's play that again. I'm starting now.",
    "With pleasure. Catch me if you can.",
)
TOO_FAR = (
    "We would be here all day, so I'll make it shorter.",
    "That is a long way to count. Let me do a part of it.",
)
COUNTED = (
    "There, and you let me finish. Next time, just talk over me. {offer}",
    "You are a patient listener. Nobody stopped me at all. {offer}",
    "All of them, and not one word from you. I take that as a compliment. {offer}",
)
COUNTED_REST = (
    "And that was the rest of it. {offer}",
    "There, now it is complete. {offer}",
    "I do like to finish what I start. {offer}",
)

STOPPED_AT = (
    "You stopped me at {at}; the last number you heard was {last}.",
    "Stopped at {at}. What reached you last was {last}.",
    "That was to be {at}, but you only heard me as far as {last}.",
    "You cut in on {at}, so {last} is where I fell silent.",
)
STOPPED_AFTER = (
    "You stopped me right after {last}; that was the last number anyway.",
    "I was just done: {last}, the last of them, still reached you.",
)
STOPPED_BEFORE = (
    "You stopped me just before {at}, so you haven't heard a number yet.",
    "Quick! I had {at} on the tip of my tongue, and not one number had reached you.",
)
EXPLAIN = (
    "That is what I do best: I remember what you heard, not what I meant to say. {offer}",
    "I fell silent as soon as you spoke, and the rest never counted. Say go on, and I'll take it from there. {offer}",
    "You are getting good at this. {offer}",
    "Whatever was left of it, I have put aside. {offer}",
    "Caught again. {offer}",
    "I was rather looking forward to the rest, but it is your turn. {offer}",
)
STOPPED = (
    "All right, I stopped. The last words you heard were: {words}. Say go on if you want the rest.",
    "I'm all ears. You heard me as far as: {words}. To hear the rest, say go on.",
    "You have the floor. I got as far as: {words}. I can go on from there, if you say go on.",
    "Quiet now. The last that reached you was: {words}. Say go on, and I'll finish.",
)
STOPPED_AT_ONCE = (
    "You were quicker than my first word. What would you like?",
    "I hadn't even started. Please, go first.",
)
CARRY_ON = ("Where was I.", "Gladly, from there.", "From where you stopped me.", "Back to it, then.")
CARRY_ON_SENTENCE = (
    "I'll begin that sentence again.",
    "Let me take a run-up, from the start of the sentence.",
    "That sentence once more, from its beginning.",
    "You heard a part of this sentence; here is all of it.",
)
NOTHING_LEFT = (
    "There's nothing left to finish. {offer}",
    "I had said all I wanted to say. {offer}",
    "That was all of it, I'm afraid. {offer}",
)
NOTHING_SAID = ("I haven't said anything yet. {offer}", "So far I have been silent. {offer}")

ONE_NOISE = (
    "I heard a noise, took it for a cough, and went on where I was.",
    "There was a sound in between; I waited a moment, decided that it wasn't a word, and carried on.",
    "By the way, something went bump while I was talking. I held my breath, and you missed nothing.",
    "That little noise made me pause, but I hadn't lost my place.",
)
NOISES = (
    "I heard {n} noises, took them for coughs, and went on each time where I was.",
    "Something rattled {n} times while I spoke. I paused each time and lost nothing.",
)

OFFER = (
    "Ask me for {wishes}.",
    "Would you like {wishes}?",
    "I can offer you {wishes}.",
    "How about {wishes}?",
    "I also have {wishes}.",
    "You could ask for {wishes}.",
    "What would you like next: {wishes}?",
)
OFFER_TYPED = (
    "Type what you would like: {wishes}.",
    "You can type to me; try {wishes}.",
    "At the keyboard, ask for {wishes}.",
)

TIME = (
    "It's {time}, by the clock here.",
    "Right now it is {time}.",
    "Let me look. The time is {time}.",
    "The clock here says {time}.",
)
DATE = ("Today is {date}.", "It's {date}, all day long.", "My calendar says {date}.")
STORY = (
    "Here is a short one.",
    "With pleasure. Make yourself comfortable.",
    "Let me think. Yes.",
    "I know just the one.",
)
FASTER = (
    "Like this? I can talk a good deal faster, if you can keep up.",
    "A little quicker, then. Say faster again, and I'll step on it.",
    "I have put some speed on. How is that?",
    "Faster it is. Say slower if it gets too much.",
)
SLOWER = (
    "Is this better? I'm taking my time now.",
    "Slower, then. There's no hurry at all.",
    "I have eased off a little. Can you follow me better?",
    "All right, one word after the other.",
)
NORMAL = ("Back to my usual pace.", "This is how I normally talk.")
FASTEST = ("This is as fast as I go; beyond that even I can't follow.", "I'm at full speed already.")
SLOWEST = ("Any slower, and I would stand still.", "This is the slowest I can do.")
VOICE = (
    "Hello, it's still me, in another voice. This is number {n} of {of}.",
    "How do I sound now? That was a change to voice {n} of {of}.",
    "The same tour, from another throat: {n} of {of}.",
    "Number {n} of {of}, at your service.",
)
ONE_VOICE = (
    "This is the only voice I have here. But I can speak faster or slower.",
    "I have just the one voice, and I've grown fond of it.",
)
ABILITIES = (
    "I can tell you the time and the date, a story or a joke. I can count, and be stopped. I can speak faster or "
    "slower, or in another voice, say that again, and go on where you stopped me. And you may interrupt me at any "
    "moment, even now.",
    "There's the time, the date, a story, a joke. There's faster, slower, and another voice. Say count, and I count. "
    "Say that again, and I repeat myself. And if you stop me halfway, say go on.",
)
HELP = (
    "It's simple: talk when you like, and I'll stop. A few words are enough, such as: what time is it, tell me a "
    "story, or another voice. If the microphone gives you trouble, type instead; I answer just the same.",
    "Say something short, like: count again, faster, or tell me a joke. Everything can also be typed. And you never "
    "have to wait until I have finished.",
)
WHO = (
    "I'm the tour of Antiphon. {running} There is no language model behind me, only a short script and good manners.",
    "Just a guide. {running} Once you connect a language model, it takes over, and it gets the same good ears.",
)
NAME = (
    "An antiphon is a song for two choirs: the one sings, the other answers. That is the idea here as well, except "
    "that you may come in whenever you like.",
    "Antiphon means that voices answer each other. You sing, I sing, and neither has to wait.",
)
HOW = (
    "Very well, thank you. I get to talk, and you are listening. {offer}",
    "Cheerful, as always. It's in the script. {offer}",
)
OKAY = ("Right you are.", "Very well, then.", "Good to know.", "Fine by me.")
THANKS = ("You're welcome.", "It was a pleasure.", "Thank you. I do my best.", "You are very kind.")
HELLO = ("Hello to you. {offer}", "And a good day to you. {offer}", "Nice to hear from you. {offer}")
BYE = (
    "Goodbye. It was good to talk with you.",
    "Until next time. I'll be here, counting quietly.",
    "Farewell. You can close the page whenever you like.",
)
STOP = ("I'm quiet.", "Say no more, and neither will I.", "Silence it is, until you want me.")
NO = (
    "All right. I'm here when you want something.",
    "As you like. Just speak up when you think of something.",
    "No hurry. I'll listen.",
)
UNKNOWN = (
    "I have “{words}” from you, and no answer to that. {offer}",
    "“{words}”, if I got that right. That is beyond a little tour like me. {offer}",
    "Did you say “{words}”? A language model would know what to do with it; I only know a few things. {offer}",
    "What I made of it was “{words}”. I'm sorry, that isn't in my script. {offer}",
    "“{words}”: a fine thing to say, and I have nothing to match it. {offer}",
)
WORDLESS = (
    "That came without a word, so I'll take it as a smile. {offer}",
    "A sign says a lot, but I only have answers to words. {offer}",
    "No words in that, or none that I can find. {offer}",
)
NO_WORDS = (
    "I heard your voice, but no words came through. {offer}",
    "There was something, but I couldn't make out a word. {offer}",
    "Sorry, I caught none of that. A few clear words work best. {offer}",
)
DEAF = (
    "I noticed that you spoke, though I have no way to make out words. {offer}",
    "Somebody spoke, that much I can tell. {offer}",
)

STORIES = (
    "There was once a lighthouse keeper who talked to the sea. Every evening she leaned on the rail and told it about "
    "her day. The sea, as seas do, never answered. One winter a fog came down so thick that the lamp was no use at "
    "all. So she stood at the rail and simply went on talking, all night long, about soup and socks and the price of "
    "oil. In the morning there were nine small boats in the harbour. They had steered by her voice. And from then on, "
    "when she paused for breath, she always had the feeling that somebody out there was listening.",
    "High in the mountains lived an echo who was tired of repeating things. So one day, when a boy shouted hello, the "
    "echo said, good morning. The boy was so surprised that he sat down in the snow. Who are you, he called. I was "
    "about to ask you that, said the echo. They talked until the sun went down, and each of them waited until the "
    "other had finished. Since then the people in the valley say that it is a very slow echo. But the boy knows "
    "better. It is only thinking about its answer.",
    "In a small town there was a station clock that was always four minutes late. Nobody mended it, because the "
    "trains were always four minutes late as well. Then a new station master came, a careful man, and he set the "
    "clock right. That day the whole town missed the train home, because they had all come to be on time, and now, "
    "for the first time, they felt that they were being kept waiting. In the evening the station master climbed up "
    "his ladder and turned the hands back again. Some things, he wrote in his book, are in perfect order until you "
    "correct them.",
)
JOKES = (
    "Why does the echo win every argument? Because it always has the last word.",
    "I used to interrupt people all the time. Then I learned to count to twenty.",
    "Two microphones meet at a party. You look tired, says the one. I was up all night, says the other, listening.",
)

ENGINES = {
    "espeak": "eSpeak",
    "pocketsphinx": "Pocket Sphinx",
    "sine": "a plain test tone",
    "scripted": "a recogniser that only pretends",
    "xtts": "X T T S",
    "cosyvoice": "Cosy Voice",
    "csm": "C S M",
    "openai": "an online service",
}
"""How an engine's id is said."""
