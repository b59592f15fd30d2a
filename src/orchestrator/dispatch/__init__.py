"""How LiveKit gives us rooms: we register with its server as an agent worker, take jobs, and serve each room."""
