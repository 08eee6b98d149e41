"""Talks to a served model through the openai package, token by token.

mlx_lm.server --model out/llm --port 8080 &
python examples/llm/client.py --port 8080 "And it came to pass"
"""

import argparse

import openai


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompt")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--tokens", type=int, default=60)
    options = parser.parse_args()
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{options.port}/v1", api_key="none")
    pieces = client.completions.create(
        model="default_model",
        prompt=options.prompt,
        max_tokens=options.tokens,
        temperature=0.7,
        stream=True,
    )
    print(options.prompt, end="")
    for piece in pieces:
        print(piece.choices[0].text, end="", flush=True)
    print()


if __name__ == "__main__":
    main()
