"""OpenAI's wire, as its fact sheet tells it: models, chat, images, moderations, and videos in Sora's shape."""
